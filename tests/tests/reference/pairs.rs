//! Our client and our server, on the same runtime and on different ones, over each transport.

use std::{
    future::ready,
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use async_std::channel::bounded;
use bytes::Bytes;
use serde_json::json;
use sockeye_driver::{Ack, Args, Config, Recovery, Server, Socket};

use crate::runtimes::{RUNTIMES, Runtime, connect, connects, disconnects, events, everywhere, within};

#[test]
fn client_and_server_may_be_on_different_runtimes() {
    for server in RUNTIMES {
        serve(server, |address| {
            everywhere(move |runtime: Runtime, index: usize| async move {
                let client = connect(runtime.client(&format!("http://{address}")), index).await;
                for n in 0..100 {
                    assert_eq!(client.emit_with_ack::<i64>("add", &(n, 1)).await, Ok(n + 1));
                }
                let bytes = Bytes::from_static(&[1, 2, 3]);
                assert_eq!(client.emit_with_ack::<Bytes>("echo", &bytes).await, Ok(bytes));
                let news = client.of("/news").start();
                let heard = events(&news, "news");
                news.open();
                within("the namespace", news.connected()).await.unwrap();
                let topic = format!("{runtime:?} {index}");
                assert_eq!(news.emit_with_ack::<bool>("follow", &topic).await, Ok(true));
                client.emit("publish", &(&topic, "first")).unwrap();
                assert_eq!(heard.next().await[0], json!("first"));
            });
        });
    }
}

#[test]
fn a_session_is_recovered_on_every_pair() {
    for server in RUNTIMES {
        serve(server, |address| {
            everywhere(move |runtime: Runtime, index: usize| async move {
                let link = Link::to(address);
                let client = connect(runtime.client(&format!("http://127.0.0.1:{}", link.port)), index).await;
                let (heard, connected, lost) = (events(&client, "news"), connects(&client), disconnects(&client));
                // Who speaks while the other one is away.
                let other = connect(runtime.client(&format!("http://{address}")), index).await;
                let topic = format!("{runtime:?} {index}");
                let publish = async |n: u32| {
                    let published = other.emit_with_ack::<bool>("publish", &(&topic, n));
                    assert_eq!(within("the publication", published).await, Ok(true));
                };
                assert_eq!(client.emit_with_ack::<bool>("follow", &topic).await, Ok(true));
                let id = client.id();
                for round in 0..3 {
                    publish(round * 2).await;
                    assert_eq!(heard.next().await[0], json!(round * 2));
                    link.cut();
                    lost.next().await;
                    publish(round * 2 + 1).await;
                    link.mend();
                    assert!(connected.next().await, "recovered");
                    assert_eq!(client.id(), id);
                    assert_eq!(heard.next().await[0], json!(round * 2 + 1));
                }
                assert!(heard.is_empty());
            });
        });
    }
}

/// Runs something while a server runs.
fn serve(server: Runtime, test: impl FnOnce(SocketAddr)) {
    let (sender, address) = mpsc::channel();
    let (stop, stopped) = bounded::<()>(1);
    let serving = thread::spawn(move || {
        server.run(async move {
            let io = Server::new(Config { recovery: Some(Recovery::default()), ..Config::default() });
            io.on("add", async |Args((a, b)): Args<(i64, i64)>, ack: Ack| ack.send(&(a + b)));
            io.on("echo", async |Args(bytes): Args<Bytes>, ack: Ack| ack.send(&bytes));
            for namespace in ["/", "/news"] {
                io.of(namespace).on("follow", |socket: Socket, Args(topic): Args<String>, ack: Ack| {
                    socket.join(topic).unwrap();
                    ready(ack.send(&true))
                });
            }
            let all = io.clone();
            io.on("publish", move |Args((topic, text)): Args<(String, serde_json::Value)>, ack: Ack| {
                for namespace in ["/", "/news"] {
                    all.of(namespace).to(&*topic).emit("news", &text).unwrap();
                }
                ready(ack.send(&true))
            });
            let listening = server.listen(&io).await;
            sender.send(listening.local_addr()).unwrap();
            stopped.recv().await.unwrap();
            listening.shutdown(Duration::from_secs(1)).await;
        });
    });
    test(address.recv().unwrap());
    stop.try_send(()).unwrap();
    serving.join().unwrap();
}

/// What lies between a client and a server.
struct Link {
    port: u16,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    is_cut: Arc<AtomicBool>,
}

impl Link {
    fn to(address: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (streams, is_cut) = (Arc::<Mutex<Vec<TcpStream>>>::default(), Arc::<AtomicBool>::default());
        let link = Self { port, streams: Arc::clone(&streams), is_cut: Arc::clone(&is_cut) };
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let mut streams = streams.lock().unwrap();
                if is_cut.load(Ordering::Acquire) {
                    continue;
                }
                let far = TcpStream::connect(address).unwrap();
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || {
                        // Cut, or closed by either side.
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                streams.extend([near, far]);
            }
        });
        link
    }

    /// Ends all connections, and lets none through.
    fn cut(&self) {
        let mut streams = self.streams.lock().unwrap();
        self.is_cut.store(true, Ordering::Release);
        for stream in streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.is_cut.store(false, Ordering::Release);
    }
}
