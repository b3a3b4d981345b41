//! `sio emit`.

use futures_util::FutureExt as _;
use sockeye_tokio::{
    AckError, Values,
    client::{Client, Error},
};

use super::{
    cli,
    exit::{Exit, not_sent},
    lines,
    output::{Line, Output},
    session::{News, Session, explain, why},
    show,
};

pub(crate) async fn run(options: &cli::Emit, session: &mut Session, output: &Output) -> Exit {
    let args = match options.args().await {
        Ok(args) => Values(args),
        Err(why) => return Exit::usage(why),
    };
    session.connect();
    let connected = async {
        loop {
            let news = session.next().await;
            note(options, output, &news).await;
            if let Some(loss) = session.loss(&news) {
                return Err(Exit::failed(loss.why));
            }
            if let News::Connect { namespace, .. } = news {
                return Ok(namespace);
            }
        }
    };
    let socket = match connected.await {
        Ok(namespace) => session.socket(&namespace).cloned(),
        Err(exit) => return exit,
    };
    let Some(socket) = socket else { return Exit::failed("no namespace") };
    if !options.ack {
        return match socket.emit(&options.event, &args) {
            Ok(()) => sent(options, session, &socket, output).await,
            Err(error) => not_sent(error),
        };
    }
    let answer = match options.timeout {
        time if time.is_zero() => socket.emit_with_ack::<Values>(&options.event, &args),
        time => socket.timeout(time).emit_with_ack(&options.event, &args),
    };
    tokio::pin!(answer);
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            news = session.next() => note(options, output, &news).await,
        }
    };
    match answer {
        Ok(Values(values)) => {
            let line = if options.json { show::json(&show::programs(&values)) } else { show::people(&values) };
            output.line(Line::Out(line)).await;
            Exit::DONE
        }
        Err(AckError::Timeout) => Exit::timed_out(format!("no acknowledgement within {:?}", options.timeout)),
        Err(AckError::Emit(error)) => not_sent(error),
        Err(error) => Exit::failed(format!("no acknowledgement: {error}")),
    }
}

/// Waits until the event has left: what the connection still holds when it ends is lost.
async fn sent(options: &cli::Emit, session: &mut Session, socket: &Client, output: &Output) -> Exit {
    let flushed = socket.flush();
    tokio::pin!(flushed);
    loop {
        let news = tokio::select! {
            // First: what happened before it left is told by then, and it may have gone with that.
            biased;
            news = session.next() => news,
            flushed = &mut flushed => match flushed {
                Ok(()) => return Exit::DONE,
                Err(error) => return lost(options, session, output, &error).await,
            },
        };
        note(options, output, &news).await;
        // It may have left before that happened, or because of it: a server need not wait for whom it has heard.
        match (flushed.as_mut().now_or_never(), news) {
            (Some(Ok(())), _) => return Exit::DONE,
            (_, News::Disconnect { reason, details, .. }) => return unsent(&why(reason, details.as_ref())),
            (Some(Err(error)), _) => return lost(options, session, output, &error).await,
            (None, _) => {}
        }
    }
}

/// The event has not left. The end of the connection, which has been told by then, says more than the error does.
async fn lost(options: &cli::Emit, session: &mut Session, output: &Output, error: &Error) -> Exit {
    while let Some(news) = session.try_next() {
        note(options, output, &news).await;
        if let News::Disconnect { reason, details, .. } = news {
            return unsent(&why(reason, details.as_ref()));
        }
    }
    unsent(&explain(error))
}

fn unsent(why: &str) -> Exit {
    Exit::failed(format!("not sent: {why}"))
}

async fn note(options: &cli::Emit, output: &Output, news: &News) {
    if options.connection.verbose
        && let Some(line) = lines::connection(news, true)
    {
        output.line(Line::Note(line)).await;
    }
}
