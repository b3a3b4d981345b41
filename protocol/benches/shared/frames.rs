//! Messages as clients send them on a WebSocket.

#![allow(unreachable_pub, dead_code, reason = "each program uses a part of this module")]

/// A frame as clients send it.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// An event with a string.
pub fn text(event: &str, len: usize) -> Vec<u8> {
    frame(1, format!(r#"42["{event}","{}"]"#, "x".repeat(len)).as_bytes())
}

/// An event that asks for an acknowledgement.
pub fn acknowledged(len: usize) -> Vec<u8> {
    frame(1, format!(r#"421["ack","{}"]"#, "x".repeat(len)).as_bytes())
}

/// An event with one attachment.
pub fn attachment(len: usize) -> Vec<u8> {
    [frame(1, br#"451-["binary",{"_placeholder":true,"num":0}]"#), frame(2, &vec![7; len])].concat()
}
