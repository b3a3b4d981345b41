//! Load by our client, on either runtime: one of the programs that `tests/bench/run.mjs` compares.
//! `sockeye` is the crate of the runtime.

use std::{
    io::{Read as _, stdin},
    sync::{
        Arc,
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

/// What the clients of this process have received, and whether they go on.
#[derive(Default)]
struct Count {
    messages: AtomicU64,
    is_over: AtomicBool,
}

impl Count {
    fn goes_on(&self) -> bool {
        self.messages.fetch_add(1, Ordering::Relaxed);
        !self.is_over.load(Ordering::Relaxed)
    }
}

/// Connects `--clients` to `--url`, keeps `--window` messages of `--size` bytes on the way at each for `--seconds`, and
/// says when it begins and ends, with the number of answers. Then it waits for the end of its input, to be looked at.
pub(crate) async fn run() -> Result<(), BoxError> {
    let url: String = option("--url").ok_or("--url is missing")?;
    let scenario: String = option("--scenario").unwrap_or_else(|| "echo".into());
    let clients: usize = option("--clients").unwrap_or(100);
    let window: usize = option("--window").unwrap_or(1);
    let text = "x".repeat(option("--size").unwrap_or(16));
    let seconds: u64 = option("--seconds").unwrap_or(3);
    let count = Arc::new(Count::default());
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
        listen(client, &count);
    }
    if scenario != "idle" {
        println!("begin");
    }
    for client in &connected {
        for _ in 0..window {
            match &*scenario {
                "echo" => client.emit("echo", &text)?,
                "binary" => client.emit("bin", &bytes)?,
                "ack" => ask(client, text.as_str().into(), Arc::clone(&count))?,
                "idle" => {}
                other => return Err(format!("no scenario {other}").into()),
            }
        }
    }
    // The executor's threads go on: this one is the program's own.
    thread::sleep(Duration::from_secs(seconds));
    println!("end {}", count.messages.load(Ordering::Relaxed));
    stdin().read_to_end(&mut Vec::new())?;
    count.is_over.store(true, Ordering::Relaxed);
    Ok(())
}

/// Sends back what comes.
fn listen(client: &Client, count: &Arc<Count>) {
    let echo = Arc::clone(count);
    client.on("echo", move |client: Client, Args(text): Args<String>| {
        let goes_on = echo.goes_on();
        async move { if goes_on { client.emit("echo", &text) } else { Ok(()) } }
    });
    let binary = Arc::clone(count);
    client.on("bin", move |client: Client, Args(bytes): Args<Bytes>| {
        let goes_on = binary.goes_on();
        async move { if goes_on { client.emit("bin", &bytes) } else { Ok(()) } }
    });
}

/// Asks for an acknowledgement, and again when it is there.
fn ask(client: &Client, text: Arc<str>, count: Arc<Count>) -> Result<(), EmitError> {
    let (again, sent) = (client.clone(), Arc::clone(&text));
    client.emit_then("ack", &*sent, move |answer: Result<String, AckError>| {
        if answer.is_ok() && count.goes_on() {
            // It fails when the connection is lost: then the count shows it.
            let _ = ask(&again, text, count);
        }
    })
}
