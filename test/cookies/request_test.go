package cookies

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/consentgate/consentgate/test/gate"
)

const empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

func requests(t *testing.T) []Request {
	t.Helper()
	all, err := Requests()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 80 {
		t.Fatalf("only %d cases", len(all))
	}
	return all
}

// checkTook compares the Cookie lines the site got with the line it should get.
func checkTook(t *testing.T, s *Site, target, what, want string) {
	t.Helper()
	got, ok := s.Took(target)
	if !ok {
		t.Errorf("%s: the site got no request", what)
		return
	}
	var lines []string
	if want != "" {
		lines = []string{want}
	}
	if !slices.Equal(got, lines) {
		t.Errorf("%s: the site got %q, want %q", what, got, lines)
	}
}

// TestCookieF1 sends the lines of the table as they are: the site gets the bytes
// of those that are not held, in their order, on one line (F1, F2, F3, F14, F15).
func TestCookieF1(t *testing.T) {
	all := requests(t)
	g, s := start(t, func(string) string { return empty })
	sent := 0
	for i, r := range all {
		for _, granted := range []bool{false, true} {
			var lines []string
			want := r.Undecided
			if granted {
				lines, want = []string{"Cookie: " + gate.Granted(gate.Plain)}, r.Granted
			}
			for _, line := range r.Lines {
				lines = append(lines, "Cookie: "+line)
			}
			target := fmt.Sprintf("/%d", i)
			what := fmt.Sprintf("cookie.txt:%d: %s, granted %v", r.Line, r.Name, granted)
			w := dial(t, g.Addr(gate.Plain, "site"))
			status, _ := w.ask(target, lines...)
			_ = w.conn.Close()
			sent += len(r.Lines)
			if r.Refused {
				if _, ok := s.Took(target); ok || status != http.StatusBadRequest {
					t.Errorf("%s: status %d, passed on %v", what, status, ok)
				}
				continue
			}
			if status != http.StatusOK {
				t.Errorf("%s: status %d", what, status)
			}
			checkTook(t, s, target, what, want)
		}
	}
	t.Logf("%d cases, %d lines sent", len(all), sent)
}

// TestCookieF14 sends the same over HTTP/2: each line as a field, and cut into
// crumbs at every "; " (RFC 9113, section 8.2.3).
func TestCookieF14(t *testing.T) {
	all := requests(t)
	g, s := start(t, func(string) string { return empty })
	w, bare := dialH2(t, g.Addr(gate.H2, "site")), dialH2(t, g.Addr(gate.H2, "bare"))
	const limit = 1000
	sent, refused := 0, 0
	for i, r := range all {
		if r.Refused || strings.Contains(strings.Join(r.Lines, ""), "\r") {
			continue // no such fields in HTTP/2
		}
		var crumbs []string
		for _, line := range r.Lines {
			crumbs = append(crumbs, strings.Split(line, "; ")...)
		}
		for _, granted := range []bool{false, true} {
			for form, fields := range map[string][]string{"lines": r.Lines, "crumbs": crumbs} {
				want := r.Undecided
				if granted {
					// Behind the others: what goes takes stray separators behind it along.
					fields, want = append(slices.Clone(fields), gate.Granted(gate.H2)), r.Granted
					if strings.Trim(want, "; ") == "" {
						want = "" // no cookie, no field
					}
				}
				target := fmt.Sprintf("/%d", i)
				what := fmt.Sprintf("cookie.txt:%d: %s, granted %v, %s", r.Line, r.Name, granted, form)
				if status := w.ask(target, fields); status != "200" {
					// So many fields that no Caddy takes them.
					if alone := bare.ask(target, fields); alone != status || len(fields) < limit {
						t.Errorf("%s: status %s, without the gateway %s", what, status, alone)
					}
					refused++
					continue
				}
				sent += len(fields)
				checkTook(t, s, target, what, want)
			}
		}
	}
	t.Logf("%d cookie fields sent, %d requests refused for having more than %d of them", sent, refused, limit)
}

// An h2wire is a connection over which any header fields go.
type h2wire struct {
	t       *testing.T
	conn    *tls.Conn
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	stream  uint32
}

func dialH2(t *testing.T, addr string) *h2wire {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	w := &h2wire{t: t, conn: conn, framer: http2.NewFramer(conn, conn)}
	w.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	w.encoder = hpack.NewEncoder(&w.block)
	w.encoder.SetMaxDynamicTableSizeLimit(0)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	if err := w.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return w
}

// ask sends a request and returns the status.
func (w *h2wire) ask(target string, cookies []string) (status string) {
	w.t.Helper()
	_ = w.conn.SetDeadline(time.Now().Add(20 * time.Second))
	w.block.Reset()
	w.stream += 2
	id := w.stream - 1
	field := func(name, value string) {
		if err := w.encoder.WriteField(hpack.HeaderField{Name: name, Value: value}); err != nil {
			w.t.Fatal(err)
		}
	}
	field(":method", http.MethodGet)
	field(":scheme", "https")
	field(":authority", w.conn.RemoteAddr().String())
	field(":path", target)
	for _, c := range cookies {
		field("cookie", c)
	}
	const most = 16 << 10 // of a frame
	block := w.block.Bytes()
	first := block[:min(len(block), most)]
	err := w.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndStream: true, EndHeaders: len(first) == len(block)})
	for rest := block[len(first):]; err == nil && len(rest) > 0; {
		part := rest[:min(len(rest), most)]
		rest = rest[len(part):]
		err = w.framer.WriteContinuation(id, len(rest) == 0, part)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for {
		frame, err := w.framer.ReadFrame()
		if err != nil {
			w.t.Fatalf("%s: %v", target, err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = w.framer.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			status = f.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset: " + f.ErrCode.String()
		case *http2.GoAwayFrame:
			w.t.Fatalf("%s: %v", target, f.ErrCode)
		}
		if h := frame.Header(); h.StreamID == id && h.Flags.Has(http2.FlagDataEndStream) {
			return status
		}
	}
}
