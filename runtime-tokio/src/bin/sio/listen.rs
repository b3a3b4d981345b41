//! `sio listen`.

use std::{future::pending, time::Duration};

use sockeye_tokio::Values;
use tokio::time::sleep;

use super::{
    cli,
    exit::Exit,
    lines,
    output::{Line, Output, Role},
    session::{Incoming, News, Session},
};

pub(crate) async fn run(options: &cli::Listen, session: &mut Session, output: &Output) -> Exit {
    let time_is_over = over(options.duration);
    tokio::pin!(time_is_over);
    let mut left = options.count;
    session.connect();
    loop {
        let news = tokio::select! {
            news = session.next() => news,
            () = &mut time_is_over => return match left {
                None => Exit::DONE,
                Some(left) => Exit::timed_out(format!("time is over, {left} more events expected")),
            },
        };
        let is_shown = match &news {
            News::Event(incoming) => {
                if let (Some(ack), Some(cli::Values(answer))) = (&incoming.ack, &options.reply) {
                    // Fails when the connection has just gone, which is told.
                    let _ = ack.send(&Values(answer.clone()));
                }
                options.events.is_empty() || options.events.contains(&incoming.event)
            }
            _ => options.connection.verbose,
        };
        if is_shown && let Some(line) = line(options, session, output, &news) {
            output.line(Line::Out(line)).await;
        }
        if let Some(loss) = session.loss(&news) {
            return Exit::failed(loss.why);
        }
        if let (News::Event(_), true, Some(count)) = (news, is_shown, &mut left) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                return Exit::DONE;
            }
        }
    }
}

fn line(options: &cli::Listen, session: &Session, output: &Output, news: &News) -> Option<String> {
    if options.json {
        return lines::json(news);
    }
    let paint = output.paint();
    match news {
        News::Event(incoming @ Incoming { ack, .. }) => {
            let line = lines::event(incoming, paint, session.sockets().count() > 1);
            let ack = if ack.is_some() { paint.paint(Role::Request, " [ack]") } else { String::new() };
            Some(line + &ack)
        }
        news => lines::connection(news, true).map(|line| paint.paint(Role::Connection, format!("* {line}"))),
    }
}

async fn over(duration: Option<Duration>) {
    match duration {
        Some(duration) => sleep(duration).await,
        None => pending().await,
    }
}
