package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consentgate/consentgate/test/child"
	"github.com/consentgate/consentgate/test/client"
)

// A load is visitors of all sorts.
type load struct {
	gateway *child.Process
	clients map[client.Proto]*http.Client
	// requests wait here for their turn; nothing piles up if they are slow.
	slots    chan struct{}
	wg       sync.WaitGroup
	reloaded atomic.Int64 // when, in nanoseconds

	mu     sync.Mutex
	counts map[string]int // by what was done
	faults map[string]int // by what went wrong
	times  []float64      // of ordinary requests since the last look, in milliseconds
}

func newLoad(p *child.Process) *load {
	l := &load{
		gateway: p, clients: map[client.Proto]*http.Client{}, slots: make(chan struct{}, 64),
		counts: map[string]int{}, faults: map[string]int{},
	}
	for _, proto := range protos {
		l.clients[proto] = child.Client(proto)
		l.clients[proto].Timeout = 30 * time.Second
		if t, ok := l.clients[proto].Transport.(*http.Transport); ok {
			// Otherwise what was open at the busiest moment would stay open.
			t.MaxIdleConnsPerHost, t.IdleConnTimeout = 8, 10*time.Second
		}
	}
	return l
}

var protos = []client.Proto{client.Plain, client.H1, client.H2, client.H3}

// A visitor is one kind of request, and how often it comes.
type visitor struct {
	name   string
	weight int
	visit  func(*load, context.Context, client.Proto) error
}

var visitors = []visitor{
	{"page", 40, (*load).page},
	{"revalidated page", 8, (*load).revalidate},
	{"HEAD", 4, (*load).head},
	{"slow page", 4, (*load).slow},
	{"CSS, PNG, JSON", 20, (*load).asset},
	{"range", 4, (*load).part},
	{"visitor who leaves", 8, (*load).leave},
	{"site that breaks off", 4, (*load).broken},
	{"choice", 8, (*load).choose},
}

// run sends requests at a rate, and keeps streams open, until the context ends.
func (l *load) run(ctx context.Context, rate float64, streams int) {
	for i := range streams {
		l.wg.Go(func() { l.keepOpen(ctx, i) })
	}
	sum := 0
	for _, v := range visitors {
		sum += v.weight
	}
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			n := rand.IntN(sum)
			for _, v := range visitors {
				if n -= v.weight; n < 0 {
					l.send(ctx, v)
					break
				}
			}
		}
	}
	l.wg.Wait()
	for _, c := range l.clients {
		c.CloseIdleConnections()
	}
}

func (l *load) send(ctx context.Context, v visitor) {
	select {
	case l.slots <- struct{}{}:
	default:
		l.count(v.name, errors.New("no turn: all requests are slow"))
		return
	}
	l.wg.Go(func() {
		defer func() { <-l.slots }()
		err := v.visit(l, ctx, protos[rand.IntN(len(protos))])
		if ctx.Err() == nil {
			l.count(v.name, err)
		}
	})
}

func (l *load) count(name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[name]++
	if err != nil {
		text := err.Error()
		// Addresses and numbers would make each of them another one.
		if i := strings.LastIndex(text, ": "); i >= 0 {
			text = text[i+2:]
		}
		l.faults[name+": "+text]++
	}
}

// taken returns the times since the last call.
func (l *load) taken() []float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.times
	l.times = nil
	return t
}

// A persona is what a visitor has chosen before.
type persona struct{ cookie, gpc string }

func anyPersona(p client.Proto) persona {
	switch rand.IntN(4) {
	case 0:
		return persona{cookie: client.Granted(p)}
	case 1:
		return persona{cookie: client.Granted(p, "analytics")}
	case 2:
		return persona{cookie: client.Granted(p), gpc: "1"}
	}
	return persona{}
}

// request makes the request of a browser.
func (l *load) request(ctx context.Context, method string, p client.Proto, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, l.gateway.URL(p, siteName, path), body)
	if err != nil {
		return nil, err
	}
	who := anyPersona(p)
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	req.Header.Set("Cookie", strings.TrimSuffix("sessionid=s3ss10n; _ga=GA1.1.1.1; "+who.cookie, "; "))
	if who.gpc != "" {
		req.Header.Set("Sec-GPC", who.gpc)
	}
	if coding := codings[rand.IntN(len(codings))]; coding != "" {
		req.Header.Set("Accept-Encoding", coding)
	}
	return req, nil
}

// do sends a request, reads the answer to its end, expects the status and returns
// the headers.
func (l *load) do(p client.Proto, req *http.Request, status ...int) (http.Header, error) {
	start := time.Now()
	resp, err := l.clients[p].Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.times = append(l.times, time.Since(start).Seconds()*1e3)
	l.mu.Unlock()
	for _, s := range status {
		if resp.StatusCode == s {
			return resp.Header, nil
		}
	}
	return nil, fmt.Errorf("status %d", resp.StatusCode)
}

func anyPage(kind string) string { return fmt.Sprintf("/%s/%d", kind, rand.IntN(1000)) }

func (l *load) page(ctx context.Context, p client.Proto) error {
	req, err := l.request(ctx, http.MethodGet, p, anyPage("page"), nil)
	if err != nil {
		return err
	}
	_, err = l.do(p, req, http.StatusOK)
	return err
}

func (l *load) head(ctx context.Context, p client.Proto) error {
	req, err := l.request(ctx, http.MethodHead, p, anyPage("page"), nil)
	if err != nil {
		return err
	}
	_, err = l.do(p, req, http.StatusOK)
	return err
}

// revalidate asks for a page, and whether it has changed.
func (l *load) revalidate(ctx context.Context, p client.Proto) error {
	req, err := l.request(ctx, http.MethodGet, p, anyPage("page"), nil)
	if err != nil {
		return err
	}
	headers, err := l.do(p, req, http.StatusOK)
	if err != nil {
		return err
	}
	again := req.Clone(ctx)
	again.Header.Set("If-None-Match", headers.Get("ETag"))
	_, err = l.do(p, again, http.StatusNotModified)
	return err
}

func (l *load) slow(ctx context.Context, p client.Proto) error {
	req, err := l.request(ctx, http.MethodGet, p, anyPage("slow"), nil)
	if err != nil {
		return err
	}
	return l.other(p, req, func(resp *http.Response) error {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	})
}

// other sends a request whose time says nothing.
func (l *load) other(p client.Proto, req *http.Request, read func(*http.Response) error) error {
	resp, err := l.clients[p].Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return read(resp)
}

func (l *load) asset(ctx context.Context, p client.Proto) error {
	req, err := l.request(ctx, http.MethodGet, p, []string{"/site.css", "/file.png", "/api/items"}[rand.IntN(3)], nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "*/*")
	_, err = l.do(p, req, http.StatusOK)
	return err
}

func (l *load) part(ctx context.Context, p client.Proto) error {
	req, err := l.request(ctx, http.MethodGet, p, "/file.png", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "image/*")
	req.Header.Set("Range", "bytes=1000-20000")
	_, err = l.do(p, req, http.StatusPartialContent)
	return err
}

// leave goes in the middle of a page.
func (l *load) leave(ctx context.Context, p client.Proto) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := l.request(ctx, http.MethodGet, p, anyPage("slow"), nil)
	if err != nil {
		return err
	}
	return l.other(p, req, func(resp *http.Response) error {
		_, err := io.ReadFull(resp.Body, make([]byte, 100))
		cancel()
		return err
	})
}

// broken expects that a page whose site breaks off does not look complete.
func (l *load) broken(ctx context.Context, p client.Proto) error {
	req, err := l.request(ctx, http.MethodGet, p, anyPage("broken"), nil)
	if err != nil {
		return err
	}
	resp, err := l.clients[p].Do(req)
	if err != nil {
		return nil //nolint:nilerr // broken off before the headers left
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode == http.StatusOK {
		return errors.New("looks complete")
	}
	return nil
}

// choose posts a choice, as the form does.
func (l *load) choose(ctx context.Context, p client.Proto) error {
	form := url.Values{"action": {"save"}, "category": {"analytics"}}
	if rand.IntN(2) == 0 {
		form = url.Values{"action": {"deny-all"}}
	}
	req, err := l.request(ctx, http.MethodPost, p, "/_cg/choice", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", strings.TrimSuffix(l.gateway.URL(p, siteName, "/"), "/"))
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	_, err = l.do(p, req, http.StatusOK, http.StatusNoContent, http.StatusSeeOther)
	return err
}

// keepOpen holds a stream open for a while, and then another: two of three are
// server-sent events, the others WebSockets.
func (l *load) keepOpen(ctx context.Context, i int) {
	name, open := "event stream", l.events
	if i%3 == 2 {
		name, open = "WebSocket", l.socket
	}
	for ctx.Err() == nil {
		life, cancel := context.WithTimeout(ctx, 20*time.Second+rand.N(60*time.Second))
		err := open(life, protos[i%len(protos)])
		if life.Err() != nil {
			err = nil // its time was over
		}
		cancel()
		what := name
		if err != nil && time.Since(time.Unix(0, l.reloaded.Load())) < 10*time.Second {
			// Caddy does that to streams over QUIC, and to others after its grace
			// period.
			what, err = name+", cut by a reload", nil
		}
		if ctx.Err() == nil {
			l.count(what, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (l *load) events(ctx context.Context, p client.Proto) error {
	req, err := l.request(ctx, http.MethodGet, p, "/events", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	c := *l.clients[p]
	c.Timeout = 0
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// socket sends a line a second and expects it back.
func (l *load) socket(ctx context.Context, _ client.Proto) error {
	u, err := url.Parse(l.gateway.URL(client.Plain, siteName, "/socket"))
	if err != nil {
		return err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", u.Path, u.Host)
	if err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil) //nolint:bodyclose // the connection is no longer HTTP's
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	for line := []byte("hello over there\n"); ; {
		if _, err := conn.Write(line); err != nil {
			return err
		}
		if got, err := r.ReadBytes('\n'); err != nil || !bytes.Equal(got, line) {
			return errors.Join(err, errors.New("no echo"))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}
