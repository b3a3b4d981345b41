//! Requests of a client: over connections that are kept for the next one, or that become WebSockets.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::{Bytes, BytesMut};
use futures_channel::oneshot;
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
};
use sockeye_protocol::client::{
    Limits,
    http::{Failure, Request},
};

use super::{Address, Connector, chain::Chain, idle::Idle};
use crate::{
    Runtime, Stream,
    runtime::{self, lock},
};

/// What requests need.
pub(super) struct Http {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) header_bytes: usize,
    pub(super) header_count: usize,
    /// Connections without a request.
    idle: Mutex<Idle<Sender>>,
}

pub(super) type Sender = SendRequest<Full<Bytes>>;

/// What a connection ends with.
type Ended = oneshot::Receiver<Option<hyper::Error>>;

/// The head of a response, and its body.
pub(super) type Answer = (http::response::Parts, Bytes);

/// A WebSocket's byte stream, and what was read behind the 101.
pub(super) type Opened = (Box<dyn Stream>, Bytes);

impl Http {
    pub(super) fn new(runtime: Arc<dyn Runtime>, connector: Arc<dyn Connector>, limits: &Limits) -> Self {
        Self {
            runtime,
            connector,
            header_bytes: limits.header_bytes,
            header_count: limits.header_count,
            idle: Mutex::default(),
        }
    }

    /// Does a request of HTTP long-polling, for a session that [began](Idle::begin).
    pub(super) async fn exchange(&self, session: u32, request: Request) -> Result<Answer, Failure> {
        let (address, limit) = (address(&request), request.body_limit);
        let mut message = encode(request)?;
        // A connection that was kept may have been closed meanwhile: the request goes over the next one then, unless some
        // of it was sent.
        while let Some(mut sender) = self.take_idle(session, &address) {
            // Its task may not have seen yet that the answer before was read.
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(message).await {
                Ok(response) => return self.finish(session, address, sender, response, limit).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => message = unsent,
                    None => return Err(reset(&error.into_error())),
                },
            }
        }
        let (mut sender, connection) = self.connect(&address).await?;
        let ended = self.drive(connection);
        let response = match sender.send_request(message).await {
            Ok(response) => response,
            Err(error) => return Err(lost(error, ended).await),
        };
        self.finish(session, address, sender, response, limit).await
    }

    /// Opens a WebSocket: the answer to its request, and if that is 101 the byte stream.
    pub(super) async fn open(&self, request: Request) -> Result<(Answer, Option<Opened>), Failure> {
        let (address, limit) = (address(&request), request.body_limit);
        let message = encode(request)?;
        let (mut sender, connection) = self.connect(&address).await?;
        let ended = self.drive(connection.with_upgrades());
        let mut response = match sender.send_request(message).await {
            Ok(response) => response,
            Err(error) => return Err(lost(error, ended).await),
        };
        if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
            let (parts, body) = response.into_parts();
            return Ok(((parts, read(body, limit).await?), None));
        }
        let upgraded = hyper::upgrade::on(&mut response).await.map_err(|error| reset(&error))?;
        let opened: Opened = match upgraded.downcast::<Box<dyn Stream>>() {
            Ok(parts) => (parts.io, parts.read_buf),
            // Never, but no worse.
            Err(upgraded) => (Box::new(upgraded), Bytes::new()),
        };
        Ok(((response.into_parts().0, Bytes::new()), Some(opened)))
    }

    /// The connections that are kept.
    pub(super) fn idle(&self) -> MutexGuard<'_, Idle<Sender>> {
        lock(&self.idle)
    }

    async fn connect(
        &self,
        address: &Address,
    ) -> Result<(Sender, hyper::client::conn::http1::Connection<Box<dyn Stream>, Full<Bytes>>), Failure> {
        let stream = self.connector.connect(address).await?;
        let mut builder = Builder::new();
        // hyper wants at least 8 KiB.
        builder.max_buf_size(self.header_bytes.max(8 * 1024)).max_headers(self.header_count);
        builder.handshake(stream).await.map_err(|error| reset(&error))
    }

    /// Has a connection do its work. Gives what it ends with, if that is an error.
    fn drive(&self, connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Ended {
        let (sender, ended) = oneshot::channel();
        // Nobody asks, most of the time.
        self.runtime.spawn(Box::pin(async move { _ = sender.send(connection.await.err()) }));
        ended
    }

    async fn finish(
        &self,
        session: u32,
        address: Address,
        sender: Sender,
        response: http::Response<Incoming>,
        limit: usize,
    ) -> Result<Answer, Failure> {
        let (parts, body) = response.into_parts();
        let body = read(body, limit).await?;
        self.idle().put(session, address, sender, &parts.headers, runtime::now());
        Ok((parts, body))
    }

    fn take_idle(&self, session: u32, address: &Address) -> Option<Sender> {
        self.idle().take(session, address, runtime::now())
    }
}

fn address(request: &Request) -> Address {
    Address { host: request.host.clone(), port: request.port, secure: request.secure }
}

fn encode(request: Request) -> Result<http::Request<Full<Bytes>>, Failure> {
    let mut builder = http::Request::builder().method(request.method).uri(&*request.target);
    for (name, value) in &request.headers {
        builder = builder.header(&**name, &**value);
    }
    builder.body(Full::new(request.body)).map_err(|error| Failure::Connect(error.to_string().into()))
}

/// Reads a body up to its limit.
async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, Failure> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limit {
        return Err(Failure::TooLarge { limit });
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| reset(&error))?.into_data() else { continue };
        if read.len().saturating_add(data.len()) > limit {
            return Err(Failure::TooLarge { limit });
        }
        if read.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// Why a request has no answer. Where the connection has failed before it was sent, that error knows better.
async fn lost(error: hyper::Error, ended: Ended) -> Failure {
    if error.is_canceled()
        && let Ok(Some(better)) = ended.await
    {
        return reset(&better);
    }
    reset(&error)
}

fn reset(error: &hyper::Error) -> Failure {
    Failure::Reset(Chain(error).to_string().into())
}
