//! A client behind a proxy. `sockeye` is the crate of the runtime.
//!
//! The connectors of tower reach a server by all kinds of ways, and hyper-util has two that go through proxies: [`Tower`]
//! makes them connectors of ours.

use std::{
    convert::Infallible,
    fmt::Display,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use tower_service::Service;

use super::sockeye::{
    BoxFuture, Stream, TcpConnector,
    client::{Address, Connector, Failure},
    prelude::*,
};

/// A connector of ours that has one of tower make the connections.
pub(crate) struct Tower<S> {
    pub(crate) service: S,
    /// Encrypts what was connected, where the server's URL says so.
    pub(crate) tls: TcpConnector,
}

impl<S> Connector for Tower<S>
where
    S: Service<Uri, Response: Stream, Error: Display, Future: Send> + Clone + Send + Sync + 'static,
{
    fn connect(&self, to: &Address) -> BoxFuture<Result<Box<dyn Stream>, Failure>> {
        let (mut service, tls, to) = (self.service.clone(), self.tls.clone(), to.clone());
        Box::pin(async move {
            let failed = |error: &dyn Display| Failure::Connect(error.to_string().into());
            let uri = format!("{}://{to}", if to.secure { "https" } else { "http" });
            let uri = uri.parse().map_err(|error: http::uri::InvalidUri| failed(&error))?;
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(|error| failed(&error))?;
            let stream: Box<dyn Stream> = Box::new(service.call(uri).await.map_err(|error| failed(&error))?);
            if to.secure { tls.encrypt(stream, &to).await } else { Ok(stream) }
        })
    }
}

/// Our TCP as a connector of tower: how the proxy is reached.
#[derive(Clone)]
pub(crate) struct Tcp(pub(crate) TcpConnector);

impl Service<Uri> for Tcp {
    type Response = Box<dyn Stream>;
    type Error = Failure;
    type Future = BoxFuture<Result<Self::Response, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = to.port_u16().unwrap_or(80);
        self.0.connect(&Address { host: host.into(), port, secure: false })
    }
}

/// A connector that reaches every server through this proxy: `http://proxy:3128`, or `socks5://proxy:1080`.
pub(crate) fn through(proxy: &str, tls: TcpConnector) -> Result<Arc<dyn Connector>, BoxError> {
    let uri: Uri = proxy.parse()?;
    let tcp = Tcp(TcpConnector::default());
    Ok(match uri.scheme_str() {
        Some("http") => Arc::new(Tower { service: Tunnel::new(uri, tcp), tls }),
        Some("socks5") => Arc::new(Tower { service: SocksV5::new(uri, tcp), tls }),
        _ => return Err("a proxy of http:// or socks5:// expected".into()),
    })
}

/// Connects through a proxy, says hello, and tells what comes.
pub(crate) async fn run(mut arguments: impl Iterator<Item = String>) -> Result<Infallible, BoxError> {
    let (Some(proxy), Some(url)) = (arguments.next(), arguments.next()) else {
        return Err("usage: proxy PROXY URL".into());
    };
    let connector = through(&proxy, TcpConnector::default())?;
    let mut client = Client::builder(&url).connector(connector).connect_simple().await?;
    println!("connected to {url} through {proxy}");
    client.emit("hello", &"through a proxy").await?;
    loop {
        let event = client.receive(Duration::from_secs(3_600)).await?;
        println!("{} {}", event.name(), event.args().raw());
    }
}
