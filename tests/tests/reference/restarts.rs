//! Servers that are killed, and started again.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::BufRead as _,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use serde_json::json;
use sockeye_driver::client::Client;

use crate::{
    counterpart::{Node, own_port},
    runtimes::{MODES, PATIENCE, RUNTIMES, Runtime, connect, disconnects, events, mode, settled, until},
};

/// Runs this on each runtime and on each transport, with a number for each.
fn start<Fut: Future<Output = ()> + Send + 'static>(
    test: impl Fn(Runtime, usize, usize) -> Fut,
) -> Vec<JoinHandle<()>> {
    let all = RUNTIMES.into_iter().flat_map(|runtime| (0..MODES.len()).map(move |index| (runtime, index)));
    all.enumerate()
        .map(|(number, (runtime, index))| {
            let test = test(runtime, index, number);
            thread::spawn(move || runtime.run(test))
        })
        .collect()
}

#[test]
fn what_was_emitted_meanwhile_arrives_once_and_in_order() {
    let port = own_port().to_string();
    let node = Node::start("reference.mjs", &["--port", &port]);
    let url = node.url("/");
    let barrier = Arc::new(Barrier::new(MODES.len() * RUNTIMES.len() + 1));
    let all_ready = Arc::clone(&barrier);
    let clients = start(|runtime, index, _| {
        let (url, barrier) = (url.clone(), Arc::clone(&barrier));
        async move {
            let client = connect(runtime.client(&url), index).await;
            let (back, lost) = (events(&client, "message-back"), disconnects(&client));
            client.emit("message", &"before").unwrap();
            assert_eq!(back.next().await, json!(["before"]));
            barrier.wait();
            let reason = lost.next().await;
            assert!(["transport close", "transport error"].contains(&&*reason), "{reason}");
            for n in 0..1_000 {
                client.emit("message", &n).unwrap();
            }
            barrier.wait();
            for n in 0..1_000 {
                assert_eq!(back.next().await, json!([n]));
            }
            settled(&client, index).await;
            assert_eq!((client.buffered(), back.is_empty()), ((0, 0), true));
        }
    });
    all_ready.wait();
    drop(node);
    all_ready.wait();
    let _node = Node::start("reference.mjs", &["--port", &port]);
    clients.into_iter().for_each(|client| client.join().unwrap());
}

/// Events of each client.
const EVENTS: usize = 10_000;

/// Servers that the clients have, one after the other.
const LIVES: usize = 4;

/// The namespaces of a client, which share its events. Their names end with how many the servers may acknowledge but one.
fn namespaces(index: usize, number: usize) -> Vec<String> {
    // On polling an acknowledgement takes two requests, which many can use.
    let count = if index == 0 { 10 } else { 1 };
    (0..count).map(|space| format!("/{number}-{space}-{}", EVENTS / count / LIVES)).collect()
}

/// The events of a namespace in the life of one server.
fn share(name: &str) -> usize {
    name.rsplit('-').next().unwrap().parse().unwrap()
}

/// All but the last server leave an event of each namespace without its acknowledgement, and are killed.
#[test]
fn retries_lose_nothing_of_ten_thousand_events_through_three_restarts() {
    let port = own_port();
    let mut node = Node::start("restarting.mjs", &[&port.to_string(), "held"]);
    let clients = start(|runtime, index, number| async move {
        let names = namespaces(index, number);
        let url = format!("http://127.0.0.1:{port}{}", names[0]);
        let first = runtime.client(&url).config(mode(index)).retries(10).start().unwrap();
        let others = names[1..].iter().map(|name| first.of(name).retries(10).start());
        let sockets: Vec<Client> = [first.clone()].into_iter().chain(others).collect();
        let acknowledged = Arc::new(AtomicUsize::new(0));
        for socket in &sockets {
            socket.open();
            for n in 0..EVENTS / sockets.len() {
                let acknowledged = Arc::clone(&acknowledged);
                let answered = move |answer| {
                    acknowledged.fetch_add(usize::from(answer == Ok(n)), Ordering::SeqCst);
                };
                socket.emit_then("n", &n, answered).unwrap();
            }
        }
        until("all are acknowledged", || acknowledged.load(Ordering::SeqCst) == EVENTS).await;
        assert!(sockets.iter().all(|socket| socket.buffered() == (0, 0)));
    });

    let all = |number: usize| namespaces(number % MODES.len(), number);
    let all: Vec<String> = (0..MODES.len() * RUNTIMES.len()).flat_map(all).collect();
    let mut seen = BTreeMap::<String, Vec<usize>>::new();
    for life in 1..=LIVES {
        let (sender, lines) = mpsc::channel();
        let stdout = node.stdout.take().unwrap();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        // Until each namespace has had its share, the last of which it sends again.
        let mut waiting: BTreeSet<&str> = all.iter().map(String::as_str).collect();
        while !waiting.is_empty() {
            let line = lines.recv_timeout(PATIENCE).expect("events arrive");
            let (name, number) = line.split_once(' ').unwrap();
            let seen = seen.entry(name.to_owned()).or_default();
            seen.push(number.parse::<usize>().unwrap());
            let is_done = match life {
                LIVES => seen.last() == Some(&(LIVES * share(name) - 1)),
                _ => seen.len() == life * share(name),
            };
            if is_done {
                waiting.remove(name);
            }
        }
        if life < LIVES {
            drop(node);
            let held: &[&str] = if life + 1 < LIVES { &["held"] } else { &[] };
            node = Node::start("restarting.mjs", &[&[&*port.to_string()], held].concat());
        }
    }
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(seen.len(), all.len());
    for (name, mut seen) in seen {
        assert!(seen.is_sorted(), "{name}");
        let all = seen.len();
        seen.dedup();
        assert_eq!(all - seen.len(), LIVES - 1, "{name}: nothing but those without an acknowledgement comes again");
        assert!(seen.into_iter().eq(0..LIVES * share(&name)), "{name}");
    }
}
