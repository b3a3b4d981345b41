//! Load by our client, on either runtime: one of the programs that `tests/bench/run.mjs` compares.
//! `sockeye` is the crate of the runtime.

use std::{
    io::{Read as _, stdin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;

use super::{
    bench::option,
    sockeye::{
        client::{Client, Transport},
        prelude::*,
    },
};

/// Before it counts: to send the first messages costs more than to answer.
const WARM_UP: Duration = Duration::from_millis(300);

/// Whether the clients of this process have received enough.
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// What the clients of each thread have received. (To count what all have in one place would cost them something that the
/// server beside them does not pay.)
static COUNTS: Mutex<Vec<&AtomicU64>> = Mutex::new(Vec::new());

thread_local! {
    static COUNT: &'static AtomicU64 = {
        let count: &AtomicU64 = Box::leak(Box::default());
        COUNTS.lock().unwrap_or_else(PoisonError::into_inner).push(count);
        count
    };
}

/// Counts a message. Whether to go on.
fn goes_on() -> bool {
    // Nobody else writes there.
    COUNT.with(|count| count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed));
    !IS_OVER.load(Ordering::Relaxed)
}

fn messages() -> u64 {
    let counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
}

/// Connects `--clients` to `--url`, keeps `--window` messages of `--size` bytes on the way at each for `--seconds`, and
/// says when they begin (behind a short time, in which what was sent first comes back) and end, with the number of answers. Then it waits for the end of its input, to be looked at.
pub(crate) async fn run() -> Result<(), BoxError> {
    let url: String = option("--url").ok_or("--url is missing")?;
    let scenario: String = option("--scenario").unwrap_or_else(|| "echo".into());
    let clients: usize = option("--clients").unwrap_or(100);
    let window: usize = option("--window").unwrap_or(1);
    let text = "x".repeat(option("--size").unwrap_or(16));
    let seconds: u64 = option("--seconds").unwrap_or(3);
    if scenario == "idle" {
        println!("begin");
    }
    let mut connected = Vec::new();
    for _ in 0..clients {
        let client = Client::builder(&url).config(|config| config.transports = vec![Transport::WebSocket]);
        connected.push(client.connect().await?);
    }
    let bytes = Bytes::from(text.clone().into_bytes());
    for client in &connected {
        listen(client);
    }
    for client in &connected {
        for _ in 0..window {
            match &*scenario {
                "echo" => client.emit("echo", &text)?,
                "binary" => client.emit("bin", &bytes)?,
                "ack" => ask(client, text.as_str().into())?,
                "idle" => {}
                other => return Err(format!("no scenario {other}").into()),
            }
        }
    }
    // The executor's threads go on: this one is the program's own.
    let mut before = 0;
    if scenario != "idle" {
        thread::sleep(WARM_UP);
        before = messages();
        println!("begin");
    }
    thread::sleep(Duration::from_secs(seconds));
    println!("end {}", messages().wrapping_sub(before));
    stdin().read_to_end(&mut Vec::new())?;
    IS_OVER.store(true, Ordering::Relaxed);
    Ok(())
}

/// Sends back what comes.
fn listen(client: &Client) {
    client.on(
        "echo",
        async |client: Client, Args(text): Args<String>| {
            if goes_on() { client.emit("echo", &text) } else { Ok(()) }
        },
    );
    client.on(
        "bin",
        async |client: Client, Args(bytes): Args<Bytes>| {
            if goes_on() { client.emit("bin", &bytes) } else { Ok(()) }
        },
    );
}

/// Asks for an acknowledgement, and again when it is there.
fn ask(client: &Client, text: Arc<str>) -> Result<(), EmitError> {
    let (again, sent) = (client.clone(), Arc::clone(&text));
    client.emit_then("ack", &*sent, move |answer: Result<String, AckError>| {
        if answer.is_ok() && goes_on() {
            // It fails when the connection is lost: then the count shows it.
            let _ = ask(&again, text);
        }
    })
}
