#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_protocol::fuzzing::http_request(data));
