package protocol

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/consentgate/consentgate/test/gate"
)

// A tunnel is an upgraded connection, or a stream of one.
type tunnel struct {
	cookies []string // set by the handshake
	io.Reader
	io.Writer
	close func()
}

// echo accepts an upgrade and returns what it gets. Its answer sets cookies.
func echo(c net.Conn, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Cookie") != "session=1" {
		io.WriteString(c, response("400 Bad Request", fmt.Sprint(r.Method, " ", r.Header)))
		return
	}
	io.WriteString(c, head("101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: x", "Set-Cookie: _ga=1", "Set-Cookie: session=1"))
	io.Copy(c, c)
}

// WebSockets work through every stack: by an upgrade in HTTP/1.1, by an extended
// CONNECT in HTTP/2 (RFC 8441) and 3 (RFC 9220). Only the handshake is looked
// at. HTTP/2 has a test of its own below.
func TestWebSocket(t *testing.T) {
	w := newWorld(t, stacks, "")
	each(t, w, stacks, func(e env) {
		if e.p != gate.H2 && e.noTunnel() == "" {
			e.talk()
		}
	})
	noPanic(t, w)
}

// Go's HTTP/2 server accepts an extended CONNECT only in a process that was
// started with a setting, so the test starts itself again with it.
func TestWebSocketH2(t *testing.T) {
	const setting = "http2xconnect=1"
	if os.Getenv("GODEBUG") != setting {
		again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), "GODEBUG="+setting)
		out, err := again.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name()+"/h2/all")) {
			t.Errorf("with %s: %v\n%s", setting, err, out)
		}
		return
	}
	w := newWorld(t, stacks, "")
	each(t, w, stacks, func(e env) {
		if e.p == gate.H2 && e.noTunnel() == "" {
			e.talk()
		}
	})
	noPanic(t, w)
}

// noTunnel tells why a stack has no WebSockets over a protocol.
func (e env) noTunnel() string {
	if !e.p.IsHTTP1() && strings.Contains(e.s.after, interceptLines) {
		return "Caddy's intercept panics over an extended CONNECT, with the gateway and without: its writer cannot be a key of a map"
	}
	return ""
}

// talk opens a tunnel, and expects back what it says, to the byte.
func (e env) talk() {
	path := e.w.site.on("", echo)
	passed := e.counted("passed", 1)
	open := map[gate.Proto]func(path string) tunnel{gate.Plain: e.upgrade, gate.H1: e.upgrade, gate.H2: e.connectH2, gate.H3: e.connectH3}[e.p]
	tun := open(path)
	defer tun.close()
	if !slices.Equal(tun.cookies, []string{"session=1"}) {
		e.Errorf("cookies of the handshake: %q", tun.cookies)
	}
	for _, word := range []string{"hello", tracked, strings.Repeat("\x00\xff", 2000)} {
		io.WriteString(tun, word)
		got := make([]byte, len(word))
		if _, err := io.ReadFull(tun, got); err != nil || string(got) != word {
			e.Fatalf("sent %q, got %q, %v", word, got, err)
		}
	}
	tun.close()
	// Caddy counts the bytes of a tunnel without a lock: stopping it while the
	// tunnel still ends would be a race of its own.
	passed()
}

// upgrade is the handshake of HTTP/1.1.
func (e env) upgrade(path string) tunnel {
	c := e.w.Dial(e.p, e.s.name)
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\nCookie: session=1; _ga=2\r\n\r\n", path, e.host())
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		e.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(resp.Body)
		e.Fatalf("%s %s", resp.Status, body)
	}
	return tunnel{resp.Header["Set-Cookie"], br, c, func() { c.Close() }}
}

// connectH3 is the handshake of HTTP/3.
func (e env) connectH3(path string) tunnel {
	r, w := io.Pipe()
	req, err := http.NewRequest(http.MethodConnect, e.w.URL(e.p, e.s.name, path), r)
	if err != nil {
		e.Fatal(err)
	}
	req.Proto = "websocket"
	req.Header = http.Header{"Sec-Websocket-Version": {"13"}, "Cookie": {"session=1; _ga=2"}}
	resp, err := e.c.Transport.RoundTrip(req)
	if err != nil {
		e.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		w.Close()
		body, _ := io.ReadAll(resp.Body)
		e.Fatalf("%s %s", resp.Status, body)
	}
	return tunnel{resp.Header["Set-Cookie"], resp.Body, w, func() {
		w.Close()
		resp.Body.Close()
	}}
}

// connectH2 is the handshake of HTTP/2, frame by frame: Go's client has none.
func (e env) connectH2(path string) tunnel {
	c := e.w.Dial(e.p, e.s.name)
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	s := &streamH2{f: f}
	var head *http2.MetaHeadersFrame
	for asked := false; head == nil; {
		frame, err := f.ReadFrame()
		if err != nil {
			e.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if frame.IsAck() || asked {
				continue
			}
			if v, _ := frame.Value(http2.SettingEnableConnectProtocol); v != 1 {
				e.Fatal("the server does not offer the extended CONNECT")
			}
			f.WriteSettingsAck()
			var block bytes.Buffer
			enc := hpack.NewEncoder(&block)
			for _, field := range [][2]string{
				{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":path", path}, {":authority", e.host()},
				{"sec-websocket-version", "13"}, {"cookie", "session=1"}, {"cookie", "_ga=2"},
			} {
				enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
			}
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
			asked = true
		case *http2.MetaHeadersFrame:
			head = frame
		}
	}
	if status := head.PseudoValue("status"); status != "200" {
		body, _ := io.ReadAll(s)
		e.Fatalf("status %s: %v %s", status, head.Fields, body)
	}
	var cookies []string
	for _, field := range head.RegularFields() {
		if field.Name == "set-cookie" {
			cookies = append(cookies, field.Value)
		}
	}
	return tunnel{cookies, s, s, func() { c.Close() }}
}

// streamH2 is stream 1 of a connection. It sends and gets less than the first
// windows allow, so it leaves them alone.
type streamH2 struct {
	f    *http2.Framer
	rest []byte
	end  bool
}

func (s *streamH2) Write(p []byte) (int, error) {
	return len(p), s.f.WriteData(1, false, p)
}

func (s *streamH2) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.end {
			return 0, io.EOF
		}
		frame, err := s.f.ReadFrame()
		if err != nil {
			return 0, err
		}
		switch frame := frame.(type) {
		case *http2.DataFrame:
			s.rest, s.end = bytes.Clone(frame.Data()), frame.StreamEnded()
		case *http2.RSTStreamFrame:
			return 0, fmt.Errorf("stream reset: %v", frame.ErrCode)
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
