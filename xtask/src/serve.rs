//! A web server for the browser of this machine: static files on 127.0.0.1, read anew at each request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result};

/// What the page may do: load from where it came from, compile wasm, and nothing else. The page says so too, for other servers; only a header can say who may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// Requests are short; what is longer than this is none of a browser's.
const LONGEST: u64 = 32 * 1024;

/// Serves the files of some folders, the first that has a file first, until the program is stopped.
pub fn serve(folders: &[PathBuf], port: u16) -> Result<()> {
    let page = folders.iter().any(|folder| folder.join("index.html").is_file());
    let glue = folders.iter().any(|folder| folder.join("pkg").is_dir());
    anyhow::ensure!(page && glue, "the playground is not built yet: run without --no-build");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("port {port} of 127.0.0.1 cannot be had; `--port` takes another one, and 0 any that is free"))?;
    println!("http://{}/", listener.local_addr()?);
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            // A browser that goes away in the middle is no fault of ours.
            scope.spawn(move || answer(stream, folders).ok());
        }
    });
    Ok(())
}

/// Answers the one request of a connection.
fn answer(mut stream: TcpStream, folders: &[PathBuf]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new((&stream).take(LONGEST)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // The rest is read so that closing does not cut the answer off.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (status, kind, body) = match (method, find(target, folders)) {
        ("GET" | "HEAD", Some(path)) => match fs::read(&path) {
            Ok(bytes) => ("200 OK", kind(&path), bytes),
            Err(_) => ("404 Not Found", "text/plain; charset=utf-8", b"This file cannot be read.\n".to_vec()),
        },
        ("GET" | "HEAD", None) => ("404 Not Found", "text/plain; charset=utf-8", b"There is no such file.\n".to_vec()),
        _ => ("405 Method Not Allowed", "text/plain; charset=utf-8", b"Files can be read here, nothing else.\n".to_vec()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nContent-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\n\
         Referrer-Policy: no-referrer\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    stream.flush()
}

/// The file that the target of a request names, if it is one of the folders'.
fn find(target: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let name = decode(path)?;
    let name = if name.is_empty() || name.ends_with('/') { name + "index.html" } else { name };
    // Names, one in the other: no way up, no root, no drive, no hidden file.
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', ':', '\0']);
    if !name.split('/').all(plain) || !Path::new(&name).components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    folders.iter().find_map(|folder| {
        // A link that leads out of the folder leads nowhere.
        let path = folder.join(&name).canonicalize().ok()?;
        (path.starts_with(folder.canonicalize().ok()?) && path.is_file()).then_some(path)
    })
}

/// A path with its %XX as the bytes that they stand for; none if they are no UTF-8.
fn decode(path: &str) -> Option<String> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The content type that goes with a file's name. Browsers run modules and compile wasm only with the right one.
fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|end| end.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("csv") => "text/csv; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Folder;

    /// Two folders of files beside a file that nobody may see.
    fn folders(test: &str) -> (Folder, Vec<PathBuf>) {
        let files = [
            ("web/index.html", "page"),
            ("web/a b.js", "script"),
            ("web/.hidden", "no"),
            ("out/index.html", "old"),
            ("out/pkg/x.wasm", "wasm"),
            ("secret", "no"),
        ];
        let root = Folder::with(test, &files);
        let folders = vec![root.0.join("web"), root.0.join("out")];
        (root, folders)
    }

    #[test]
    fn a_target_names_a_file_of_the_first_folder_that_has_it() {
        let (_root, folders) = folders("first");
        let read = |target: &str| find(target, &folders).map(|path| fs::read_to_string(path).unwrap());
        assert_eq!(read("/").as_deref(), Some("page"));
        assert_eq!(read("/index.html?x=1").as_deref(), Some("page"));
        assert_eq!(read("/a%20b.js").as_deref(), Some("script"));
        assert_eq!(read("/pkg/x.wasm").as_deref(), Some("wasm"));
    }

    #[test]
    fn nothing_outside_of_the_folders_is_found() {
        let (root, folders) = folders("outside");
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.0.join("secret"), root.0.join("web/link")).unwrap();
        let secret = root.0.join("secret");
        let absolute = format!("/{}", secret.display());
        for target in [
            "",
            "index.html",
            "/../secret",
            "/%2e%2e/secret",
            "/pkg/..%2f..%2fsecret",
            "/..\\secret",
            "//etc/passwd",
            "/pkg",
            "/none",
            "/%",
            "/%ff",
            "/%+1",
            "/a\0",
            "/.hidden",
            "/link",
            &absolute,
            "http://127.0.0.1/index.html",
        ] {
            assert_eq!(find(target, &folders), None, "{target}");
        }
    }

    #[test]
    fn answers_have_type_policy_and_length() {
        let (_root, folders) = folders("answers");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            for stream in listener.incoming().take(4) {
                answer(stream.unwrap(), &folders).unwrap();
            }
        });
        let ask = |request: &str| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        };
        let page = ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 4\r\n"), "{page}");
        assert!(page.contains("Content-Security-Policy: default-src 'none'; ") && page.ends_with("\r\n\r\npage"), "{page}");
        let wasm = ask("HEAD /pkg/x.wasm HTTP/1.1\r\n\r\n");
        assert!(wasm.contains("Content-Type: application/wasm\r\nContent-Length: 4\r\n") && wasm.ends_with("\r\n\r\n"), "{wasm}");
        assert!(ask("GET /none HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        assert!(ask("POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        server.join().unwrap();
    }
}
