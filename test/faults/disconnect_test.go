package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/consentgate/consentgate/test/gate"
)

// leavers is how many visitors leave in the middle of a page.
const leavers = 1000

// endless are the pages they leave, by path. Each begins with enough for the
// visitor to see something of it, and goes on until the site is told to stop.
var endless = map[string]func(w io.Writer, flush func() error, gone <-chan struct{}) error{
	// Writing to the visitor fails.
	"/flood": func(w io.Writer, flush func() error, gone <-chan struct{}) error {
		for n := 0; ; n++ {
			if _, err := fmt.Fprintf(w, section, n, "text"); err != nil {
				return err
			}
			if err := flush(); err != nil {
				return err
			}
			select {
			case <-gone:
				return nil
			default:
			}
		}
	},
	// Nothing is written any more, between tags, …
	"/stall": stall(""),
	// … in the middle of a tag, …
	"/tag": stall(`<script src="https://connect.facebook.net/en_US/fbe`),
	// … or of an inline script.
	"/script": stall(`<script>j.src='https://www.googletagmanager.com/gtm.js?`),
}

func stall(last string) func(io.Writer, func() error, <-chan struct{}) error {
	return func(w io.Writer, flush func() error, gone <-chan struct{}) error {
		if _, err := io.WriteString(w, last); err != nil {
			return err
		}
		err := flush()
		<-gone
		return err
	}
}

// Visitors who leave in the middle of a page leave nothing behind, and the site
// is told.
func TestDisconnects(t *testing.T) {
	var open, cancelled atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open.Add(1)
		defer open.Add(-1)
		coding := strings.Trim(r.URL.RawQuery, "=")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if coding != "identity" {
			w.Header().Set("Content-Encoding", coding)
		}
		body := encoder(coding, w)
		flush := func() error {
			if err := body.Flush(); err != nil {
				return err
			}
			return http.NewResponseController(w).Flush()
		}
		start := bytes.NewReader(document(sizes[0])[:4<<10])
		if _, err := io.Copy(body, start); err != nil || flush() != nil {
			return
		}
		_ = endless[strings.TrimPrefix(r.URL.Path, sitePath)](body, flush, r.Context().Done())
		if r.Context().Err() != nil {
			cancelled.Add(1)
		}
	}))
	t.Cleanup(site.Close)
	g := gate.Start(t, gate.Config{Sites: map[string]string{
		"site": "consent\n" + proxied(site.Listener.Addr().String()),
	}})

	protos := []gate.Proto{gate.Plain, gate.H2, gate.H3}
	var visits []visit
	for n := range leavers {
		paths := []string{"/flood", "/stall", "/tag", "/script"}
		coding := codings[n/len(protos)%len(codings)]
		visits = append(visits, visit{protos[n%len(protos)], paths[n/len(protos)/len(codings)%len(paths)], coding, n%7 == 0})
	}
	leave := func(visits []visit) {
		clients := make(map[gate.Proto]*http.Client)
		for _, p := range protos {
			clients[p] = client(t, g, p)
		}
		each(16, visits, func(v visit) {
			if err := v.leave(g, clients[v.proto]); err != nil {
				t.Errorf("%+v: %v", v, err)
			}
		})
		for _, c := range clients {
			disconnect(c)
		}
		gate.Eventually(t, "the site is told of all who left", func() bool { return open.Load() == 0 })
	}
	leave(visits[:60]) // pools and tables fill
	before := measure()
	cancelled.Store(0)

	leave(visits)
	if n := cancelled.Load(); n != leavers {
		t.Errorf("the site was told of %d of %d who left", n, leavers)
	}
	gate.Eventually(t, "all are counted", func() bool {
		sum := 0.0
		for _, outcome := range []string{"rewritten", "aborted", "granted"} {
			sum += g.Metric(t, `caddy_consent_responses_total{outcome="`+outcome+`"}`)
		}
		return sum == leavers+60
	})
	http.DefaultClient.CloseIdleConnections()
	before.back(t, 8<<20)
}

// A visit ends before its page does.
type visit struct {
	proto        gate.Proto
	path, coding string
	open         bool
}

func (v visit) leave(g *gate.Gate, c *http.Client) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL(v.proto, "site", v.path+"?"+v.coding), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept-Encoding", v.coding)
	if v.open {
		req.Header.Set("Cookie", gate.Granted(v.proto))
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	start := make([]byte, 1<<10)
	if _, err := io.ReadFull(resp.Body, start); err != nil {
		return fmt.Errorf("reading the start: %w", err)
	}
	if resp.Header.Get("Content-Encoding") == "" && !bytes.HasPrefix(start, []byte("<!DOCTYPE html>")) {
		return fmt.Errorf("starts with %.40q", start)
	}
	return nil
}
