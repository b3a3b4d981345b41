//! Load by rust_socketio: the same as `runtime-tokio/examples/shared/bench_client.rs`.

use std::{
    error::Error,
    io::{Read as _, stdin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use rust_socketio::{
    Event, Payload, TransportType,
    asynchronous::{Client, ClientBuilder},
};
use serde_json::json;
use tokio::sync::mpsc;

fn option<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::args().skip_while(|arg| arg != name).nth(1)?.parse().ok()
}

static MESSAGES: AtomicU64 = AtomicU64::new(0);

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let url: String = option("--url").ok_or("--url is missing")?;
    let scenario: String = option("--scenario").unwrap_or_else(|| "echo".into());
    let clients: usize = option("--clients").unwrap_or(100);
    let window: usize = option("--window").unwrap_or(1);
    let text = Arc::<str>::from("x".repeat(option("--size").unwrap_or(16)));
    let seconds: u64 = option("--seconds").unwrap_or(3);
    if scenario == "idle" {
        println!("begin");
    }
    let mut connected = Vec::new();
    for _ in 0..clients {
        let (sender, mut open) = mpsc::unbounded_channel();
        let client = ClientBuilder::new(&*url)
            .transport_type(TransportType::Websocket)
            .on(Event::Connect, move |_, _| {
                let _ = sender.send(());
                async {}.boxed()
            })
            .on("echo", |payload: Payload, client: Client| send_back("echo", payload, client))
            .on("bin", |payload: Payload, client: Client| send_back("bin", payload, client))
            .connect()
            .await?;
        open.recv().await;
        connected.push(client);
    }
    for client in &connected {
        for _ in 0..window {
            match &*scenario {
                "echo" => client.emit("echo", json!(&*text)).await?,
                "binary" => client.emit("bin", Bytes::copy_from_slice(text.as_bytes())).await?,
                "ack" => ask(client.clone(), Arc::clone(&text)).await,
                _ => {}
            }
        }
    }
    let mut before = 0;
    if scenario != "idle" {
        thread::sleep(Duration::from_millis(300));
        before = MESSAGES.load(Ordering::Relaxed);
        println!("begin");
    }
    thread::sleep(Duration::from_secs(seconds));
    println!("end {}", MESSAGES.load(Ordering::Relaxed) - before);
    stdin().read_to_end(&mut Vec::new())?;
    std::process::exit(0);
}

fn send_back(event: &'static str, payload: Payload, client: Client) -> BoxFuture<'static, ()> {
    MESSAGES.fetch_add(1, Ordering::Relaxed);
    async move { client.emit(event, payload).await.expect("emit") }.boxed()
}

fn ask(client: Client, text: Arc<str>) -> BoxFuture<'static, ()> {
    async move {
        let data = json!(&*text);
        let answered = move |_: Payload, client: Client| {
            MESSAGES.fetch_add(1, Ordering::Relaxed);
            // In a task of its own: asked from here, it would wait for a lock that its caller holds.
            tokio::spawn(ask(client, Arc::clone(&text)));
            async {}.boxed()
        };
        client.emit_with_ack("ack", data, Duration::from_secs(20), answered).await.expect("emit");
    }
    .boxed()
}
