//! Requests, WebSocket bytes and ticks from a text, one operation per line, against route and sessions.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::{
    Config, Cors, Instant, Origins, RequestId, Seed, Sid, Text, TransportId,
    engine::{CloseReason, Event, Message, Output, Routed, Session, SessionStats, SidSource, route},
    http::{Body, Request, Response},
};

/// Sessions that a script may open.
const SESSIONS: usize = 4;

/// Runs a script. A line is a request, `METHOD target`, with fields behind tabs: `Name: value`, `=body`, `~` (the body
/// follows) or `^` (it is too large); `$S` in a target is the id of the newest session. Or it is one of the operations
/// of [`Script::operation`].
///
/// Every request gets exactly one answer, every answer can be written, and after a close and some time nothing is left.
pub fn http_request(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut script = Script::new(first);
    for line in lines.take(256) {
        match line {
            [b'!', code, rest @ ..] => script.operation(*code, rest),
            _ => script.request(line),
        }
        if !first.contains(&b'B') {
            script.drain();
        }
    }
    script.finish();
}

struct Script {
    config: Arc<Config>,
    sids: SidSource,
    now: Instant,
    sessions: Vec<Session>,
    /// The session of each request, and its answers; `None` once it was aborted.
    requests: Vec<(usize, Option<u32>)>,
}

impl Script {
    /// The first line chooses the options: `C` cors, `L` a list of origins, `U` no upgrades, `S` small limits, `B` drain
    /// only at the end.
    fn new(options: &[u8]) -> Self {
        let mut config = Config { allow_upgrades: !options.contains(&b'U'), ..Config::default() };
        if options.contains(&b'C') {
            let cors = Cors { origins: Origins::Any, credentials: options.contains(&b'R'), ..Cors::default() };
            config.cors = Some(cors);
        }
        if options.contains(&b'L') {
            let origins = Origins::List(Vec::from([String::from("http://a")]));
            config.cors = Some(Cors { origins, ..Cors::default() });
        }
        if options.contains(&b'S') {
            config.limits.max_payload = 32;
            config.limits.send_queue_packets = 2;
        }
        Self {
            config: Arc::new(config),
            sids: SidSource::new(&Seed::for_tests(1)),
            now: Instant::from_millis(1),
            sessions: Vec::new(),
            requests: Vec::new(),
        }
    }

    fn request(&mut self, line: &[u8]) {
        let sid = self.sessions.last().map_or_else(String::new, |session| alloc::format!("{}", session.sid()));
        let mut fields = line.split(|byte| *byte == b'\t');
        let head = String::from_utf8_lossy(fields.next().unwrap_or_default()).replace("$S", &sid);
        let (method, target) = head.split_once(' ').unwrap_or((&head, ""));
        let mut body = Body::EMPTY;
        let mut headers = Vec::new();
        for field in fields {
            match field {
                [b'=', rest @ ..] => body = Body::Whole(Bytes::copy_from_slice(rest)),
                b"~" => body = Body::Pending,
                b"^" => body = Body::TooLarge,
                _ => {
                    let colon = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
                    let (name, value) = field.split_at(colon);
                    let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii_start();
                    headers.push((core::str::from_utf8(name).unwrap_or("x"), value));
                }
            }
        }
        let head = Request { method, target, headers: &headers, peer: None, secure: false };
        let find = |sid: Sid| self.sessions.iter().position(|session| session.sid() == sid);
        let index = match route(&self.config, &head, find) {
            Routed::NotFound => return,
            Routed::Respond(response) => {
                assert_ne!(response.status, 101);
                return check_response(&response);
            }
            Routed::Existing(index) => index,
            Routed::Open if self.sessions.len() == SESSIONS => return,
            Routed::Open => {
                let sid = self.sids.next_sid();
                self.sessions.push(Session::new(self.now, Arc::clone(&self.config), sid));
                self.sessions.len() - 1
            }
        };
        let id = RequestId(self.requests.len() as u64);
        self.requests.push((index, Some(0)));
        self.sessions[index].handle_request(self.now, id, &head, body);
    }

    /// `!t123` lets 123 ms pass, `!a0` aborts request 0, `!b0=body` brings its body (`^`: too large), `!x0bytes` brings
    /// bytes of WebSocket 0 of the newest session, `!f0text` a masked text frame, `!m0text` a message, `!e0` its end,
    /// `!stext` sends a message, `!c` closes.
    fn operation(&mut self, code: u8, rest: &[u8]) {
        let (digit, rest) = match (code, rest.split_first()) {
            (b's' | b'c' | b't', _) | (_, None) => (0, rest),
            (_, Some((digit, rest))) => (digit.wrapping_sub(b'0'), rest),
        };
        let (id, transport) = (RequestId(u64::from(digit)), TransportId(u32::from(digit)));
        let owner = self.requests.get(usize::from(digit)).map(|(index, _)| *index);
        let now = self.now;
        match (code, owner) {
            (b't', _) => {
                let millis = core::str::from_utf8(rest).ok().and_then(|text| text.parse::<u32>().ok());
                return self.tick(u64::from(millis.unwrap_or(1_000)));
            }
            (b'a', Some(index)) => {
                // A request that is answered already, in the order of things, is not aborted by this.
                self.drain();
                let answers = &mut self.requests[usize::from(digit)].1;
                if *answers == Some(0) {
                    *answers = None;
                }
                self.sessions[index].handle_abort(now, id);
                // Before a verb, which acts at once, can still answer it.
                return self.drain();
            }
            (b'b', Some(index)) => {
                let body = match rest {
                    [b'=', rest @ ..] => Body::Whole(Bytes::copy_from_slice(rest)),
                    b"^" => Body::TooLarge,
                    _ => Body::Pending,
                };
                return self.sessions[index].handle_body(now, id, body);
            }
            _ => {}
        }
        let Some(session) = self.sessions.last_mut() else { return };
        let text = || Text::from(&*String::from_utf8_lossy(rest));
        match code {
            b'x' => session.handle_bytes(now, transport, &mut BytesMut::from(rest)),
            b'f' => {
                let rest = rest.get(..125).unwrap_or(rest);
                let mut frame = BytesMut::from(&[0x81, 0x80 | rest.len() as u8, 0, 0, 0, 0][..]);
                frame.extend_from_slice(rest);
                session.handle_bytes(now, transport, &mut frame);
            }
            b'm' => session.handle_message(now, transport, Message::Text(text())),
            b'e' => session.handle_eof(now, transport),
            b's' => drop(session.send(Message::Text(text()))),
            b'c' => session.close(now, CloseReason::ForcedClose),
            _ => {}
        }
    }

    fn tick(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        for session in &mut self.sessions {
            session.handle_timeout(self.now);
            assert!(session.poll_timeout().is_none_or(|next| next > self.now));
        }
    }

    fn drain(&mut self) {
        for (index, session) in self.sessions.iter_mut().enumerate() {
            let mut answered = |id: RequestId| {
                let (owner, answers) = &mut self.requests[id.0 as usize];
                assert_eq!(*owner, index);
                *answers = Some(answers.expect("an aborted request is not answered") + 1);
            };
            while let Some(output) = session.poll_output() {
                match output {
                    Output::Respond { id, response } => {
                        answered(id);
                        assert_ne!(response.status, 101);
                        check_response(&response);
                    }
                    Output::Upgrade { id, response, transport } => {
                        answered(id);
                        assert_eq!(response.status, 101);
                        assert!(session.transmit(transport).is_some());
                        check_response(&response);
                    }
                    Output::Event(Event::Message(message)) => drop(session.send(message)),
                    _ => {}
                }
            }
            assert!(session.poll_output().is_none());
            assert_eq!(session.stats().waiting, 0);
        }
    }

    /// The application and time end everything, without any help from the peer or the driver.
    fn finish(mut self) {
        self.drain();
        for session in &mut self.sessions {
            session.close(self.now, CloseReason::ForcedClose);
            assert!(session.is_closed());
        }
        for _ in 0..4 {
            self.tick(60_000);
            self.drain();
        }
        for session in &self.sessions {
            assert!(session.is_drained(), "{session:?}");
            assert_eq!(session.stats(), SessionStats::default());
            assert_eq!(session.poll_timeout(), None);
        }
        assert!(self.requests.iter().all(|(_, answers)| matches!(answers, None | Some(1))));
    }
}

fn check_response(response: &Response) {
    let mut out = BytesMut::new();
    response.encode_http1(&mut out);
    let end = out.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let lines = out[..end].split(|byte| *byte == b'\n').count();
    assert!(lines <= response.headers.len() + 2, "a header was split");
    assert_ne!(response.reason(), "");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzzing::eio_payload;

    fn corpus(target: &str, run: fn(&[u8])) {
        let folder = alloc::format!("{}/../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut files = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            run(&std::fs::read(file.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files >= 8);
    }

    #[test]
    fn eio_payload_holds_on_its_corpus() {
        corpus("eio_payload", eio_payload);
    }

    #[test]
    fn http_request_holds_on_its_corpus() {
        corpus("http_request", http_request);
    }

    fn line() -> impl Strategy<Value = String> {
        let polling = "/socket.io/?EIO=4&transport=polling";
        let upgrade = "\tConnection: Upgrade\tUpgrade: websocket\tSec-WebSocket-Version: 13\
            \tSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        prop_oneof![
            Just(alloc::format!("GET {polling}")),
            Just(alloc::format!("GET {polling}&sid=$S")),
            Just(alloc::format!("POST {polling}&sid=$S\t~")),
            "[0-6b][a-z\u{1e}]{0,3}".prop_map(move |body| alloc::format!("POST {polling}&sid=$S\t={body}")),
            Just(alloc::format!("GET /socket.io/?EIO=4&transport=websocket&sid=$S{upgrade}")),
            Just(alloc::format!("GET /socket.io/?EIO=4&transport=websocket{upgrade}")),
            "!t(100|5000|26000)",
            "!a[0-9]",
            "!b[0-9](\\^|=4a|)",
            "!f[0-2](2probe|5|3|4a|1|)",
            "!m[0-2](2probe|5|3|4a|1|)",
            "!e[0-2]",
            "!x[0-2].{0,4}",
            "!(sx|c)",
            ".{0,20}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_script_ends_with_nothing_left(options in "[CLUSBR]{0,3}", lines in prop::collection::vec(line(), 0..24)) {
            let mut script = options;
            for line in lines {
                script.push('\n');
                script.push_str(&line);
            }
            http_request(script.as_bytes());
        }

        #[test]
        fn any_payload_is_read_once(data: Vec<u8>, text in "[0-6b\u{1e}=A-D]{0,40}") {
            eio_payload(&data);
            eio_payload(text.as_bytes());
        }
    }
}
