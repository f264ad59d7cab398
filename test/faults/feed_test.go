package faults

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/consentgate/consentgate/test/gate"
)

// A feed is a site whose answers, events and pages, go on until it ends. All of
// them say the same at the same time.
type feed struct {
	mu   sync.Mutex
	said []string
	over bool
	more chan struct{} // closed when there is more
}

// say makes all answers say one thing more.
func (f *feed) say(what string) {
	f.change(func() { f.said = append(f.said, what) })
}

// end ends all answers, and new ones as soon as they have said everything.
func (f *feed) end() {
	f.change(func() { f.over = true })
}

func (f *feed) change(how func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how()
	close(f.more)
	f.more = make(chan struct{})
}

// after returns what was said after the first n things, whether that was all, and
// what to wait for.
func (f *feed) after(n int) (said []string, over bool, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said[n:], f.over, f.more
}

const (
	pageStart   = "<!DOCTYPE html><title>A page that goes on</title>\n"
	eventsStart = ": begin\n"
)

func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, start, form := "text/event-stream", eventsStart, "data: %s\n"
	if strings.HasSuffix(r.URL.Path, "/page") {
		kind, start, form = "text/html; charset=utf-8", pageStart, "<script src=\"https://connect.facebook.net/%s.js\"></script>\n"
	}
	w.Header().Set("Content-Type", kind)
	_, err := io.WriteString(w, start)
	for n := 0; err == nil; {
		said, over, more := f.after(n)
		for _, what := range said {
			if _, err = fmt.Fprintf(w, form, what); err != nil {
				return
			}
		}
		if n += len(said); over {
			return
		}
		if err = http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}

// A follower is a visitor of a feed.
type follower struct {
	proto gate.Proto
	page  bool
	body  io.ReadCloser
	lines *bufio.Reader
}

func (f *follower) String() string {
	return fmt.Sprintf("%s, page %t", f.proto, f.page)
}

// follow asks for one answer of the feed and reads its start.
func follow(ctx context.Context, c *http.Client, g *gate.Gate, p gate.Proto, page bool) (*follower, error) {
	path, start := "/events", eventsStart
	if page {
		path, start = "/page", pageStart
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL(p, "feed", path), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	f := &follower{p, page, resp.Body, bufio.NewReader(resp.Body)}
	if line, err := f.lines.ReadString('\n'); err != nil || line != start {
		return nil, fmt.Errorf("begins with %q, %w", line, err)
	}
	return f, nil
}

// hears reads what the feed says next.
func (f *follower) hears(what string) error {
	line, err := f.lines.ReadString('\n')
	if err != nil {
		return err
	}
	want := "data: " + what + "\n"
	if f.page {
		want = ` data-cg-src="https://connect.facebook.net/` + what + `.js"`
	}
	if !strings.Contains(line, want) || liveReferences([]byte(line)) != nil {
		return fmt.Errorf("got %q, want %q", line, want)
	}
	return nil
}

// hearsEnd reads the regular end of the answer.
func (f *follower) hearsEnd() error {
	rest, err := io.ReadAll(f.lines)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("got %q more", rest)
	}
	return err
}

// socket opens a WebSocket to the site "sockets".
func socket(t *testing.T, g *gate.Gate, p gate.Proto) *websocket.Conn {
	t.Helper()
	url := g.URL(p, "sockets", "/")
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(url, "http"), url)
	if err != nil {
		t.Fatal(err)
	}
	if p != gate.Plain {
		of := g.Client(t, p).Transport.(*http.Transport)
		config.TlsConfig = &tls.Config{RootCAs: of.TLSClientConfig.RootCAs}
	}
	ws, err := config.DialContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return ws
}

// echoes sends a message and waits for the same one.
func echoes(ws *websocket.Conn, message string) error {
	if err := ws.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if err := websocket.Message.Send(ws, message); err != nil {
		return err
	}
	var got string
	if err := websocket.Message.Receive(ws, &got); err != nil {
		return err
	}
	if got != message {
		return fmt.Errorf("got %q, want %q", got, message)
	}
	return nil
}
