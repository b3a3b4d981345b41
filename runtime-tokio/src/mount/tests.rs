use std::{io, net::SocketAddr};

use axum::{Router, routing::get};
use http::header::UPGRADE;
use http_body_util::BodyExt as _;
use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use sockeye_driver::{Listener, Listening, Stream, Upgrader};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;

#[tokio::test]
async fn answers_its_own_requests_and_leaves_others_to_axum() {
    let (server, _) = Fake::new();
    let app = Router::new().route("/", get(async || "hello")).layer(server.layer());
    let address = serve_axum(app).await;

    let own =
        exchange(address, "POST /own?a=1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody");
    assert!(own.await.ends_with("\r\n\r\nNone false body"));
    let other = exchange(address, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(other.await.ends_with("\r\n\r\nhello"));
    let unknown = exchange(address, "GET /unknown HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(unknown.await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn takes_the_peer_from_the_extensions() {
    let (server, _) = Fake::new();
    let peer = Peer { address: Some(([192, 0, 2, 1], 7).into()), secure: true };
    let app = Router::new().layer(server.layer()).layer(axum::Extension(peer));
    let own = exchange(serve_axum(app).await, "GET /own HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(own.await.ends_with("\r\n\r\nSome(192.0.2.1:7) true "));
}

#[tokio::test]
async fn takes_the_raw_stream_back_from_axum() {
    let (server, mut sizes) = Fake::new();
    let address = serve_axum(Router::new().fallback_service(server.service())).await;
    echo(TcpStream::connect(address).await.unwrap()).await;
    assert_eq!(sizes.recv().await, Some(size_of::<TokioIo<TcpStream>>()));
}

#[tokio::test]
async fn takes_the_raw_stream_back_from_hyper() {
    let (server, mut sizes) = Fake::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    serve_hyper(listener.accept().await.unwrap().0, server);
    echo(client).await;
    assert_eq!(sizes.recv().await, Some(size_of::<TokioIo<TcpStream>>()));
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn takes_the_raw_stream_back_from_hyper_over_tls() {
    let (config, client) = crate::test_util::certificate::configs();
    let (connector, name) = (tokio_rustls::TlsConnector::from(client), "localhost".try_into().unwrap());
    let (server, mut sizes) = Fake::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve_hyper(tokio_rustls::TlsAcceptor::from(config).accept(stream).await.unwrap(), server);
    });
    echo(connector.connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap()).await;
    assert_eq!(sizes.recv().await, Some(size_of::<TokioIo<tokio_rustls::server::TlsStream<TcpStream>>>()));
}

#[tokio::test]
async fn keeps_what_it_does_not_know() {
    let (server, mut sizes) = Fake::new();
    let (client, stream) = tokio::io::duplex(64);
    serve_hyper(stream, server);
    echo(client).await;
    assert_eq!(sizes.recv().await, Some(size_of::<Upgraded>()));
}

#[tokio::test]
async fn an_http_server_without_upgrades_is_an_error() {
    let mut request = Request::new(Body::default());
    assert!(upgrade(&mut request).await.is_err());
}

/// Answers `/own` with what it got, and upgrades to an echo; the size of the stream that it got then tells its type.
#[derive(Clone)]
struct Fake {
    sizes: mpsc::UnboundedSender<usize>,
}

impl Fake {
    fn new() -> (Self, mpsc::UnboundedReceiver<usize>) {
        let (sizes, receiver) = mpsc::unbounded_channel();
        (Self { sizes }, receiver)
    }
}

impl Serve for Fake {
    fn serve_connection<S: Stream>(&self, _: &Arc<dyn Runtime>, _: S, _: Peer) -> BoxFuture {
        unreachable!("these tests bring requests")
    }

    fn serve<L: Listener>(&self, _: Arc<dyn Runtime>, _: L) -> io::Result<Listening> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn handle<B>(
        &self,
        runtime: &Arc<dyn Runtime>,
        mut request: Request<B>,
        peer: Peer,
        upgrade: Upgrader<B>,
    ) -> Result<BoxFuture<Response<Body>>, Request<B>>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: fmt::Display,
    {
        if request.uri().path() != "/own" {
            return Err(request);
        }
        if request.headers().contains_key(UPGRADE) {
            let (sizes, upgraded) = (self.sizes.clone(), upgrade(&mut request));
            runtime.spawn(Box::pin(async move {
                let (stream, read) = upgraded.await.unwrap();
                sizes.send(size_of_val(&*stream)).unwrap();
                let (mut reader, mut writer) = split(TokioIo::new(stream));
                writer.write_all(&read).await.unwrap();
                copy(&mut reader, &mut writer).await.unwrap();
            }));
            let response = Response::builder().status(101).header(UPGRADE, "echo").header("connection", "upgrade");
            return Ok(Box::pin(ready(response.body(Body::default()).unwrap())));
        }
        Ok(Box::pin(async move {
            let body = request.into_body().collect().await.map_err(|error| error.to_string()).unwrap().to_bytes();
            let text = format!("{:?} {} {}", peer.address, peer.secure, String::from_utf8_lossy(&body));
            Response::new(text.into())
        }))
    }
}

async fn serve_axum(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn serve_hyper(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, server: Fake) {
    let service = TowerToHyperService::new(server.service());
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::spawn(connection.with_upgrades());
}

/// Sends a request, and returns all that comes back until the end.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

/// Upgrades, with bytes right behind the request, and expects all bytes back.
async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let request = "GET /own HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nearly";
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut response = String::new();
    while !response.ends_with("\r\n\r\nearly") {
        response.push(stream.read_u8().await.unwrap().into());
    }
    assert!(response.starts_with("HTTP/1.1 101 "));
    stream.write_all(b"late").await.unwrap();
    stream.flush().await.unwrap();
    let mut late = [0; 4];
    stream.read_exact(&mut late).await.unwrap();
    assert_eq!(&late, b"late");
}
