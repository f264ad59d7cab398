package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/consentgate/consentgate/test/child"
	"github.com/consentgate/consentgate/test/client"
)

// A scenario is a kind of request whose cost is compared.
type scenario struct {
	name    string
	paths   []string
	prefix  string // of the paths
	proto   client.Proto
	granted bool
	accept  string // Accept-Encoding
	data    bool   // what a page loads, not a page
	encode  bool   // Caddy compresses, on both sides
	target  float64
}

func (c *corpus) scenarios() []scenario {
	assets := []string{"/site.css", "/site.js", "/photo.png", "/icon.png"}
	return []scenario{
		{name: "held HTML, 286 KB mix", paths: c.large, proto: client.Plain, target: 1.8},
		{name: "held HTML, 286 KB mix, length unknown", prefix: "/chunked", paths: c.large, proto: client.Plain},
		{name: "held HTML, 286 KB mix, h2", paths: c.large, proto: client.H2},
		{name: "held HTML, 286 KB mix, site sends gzip", prefix: "/gzip", paths: c.large, proto: client.Plain, accept: "gzip"},
		{name: "held HTML, 286 KB mix, encode gzip", paths: c.large, proto: client.Plain, accept: "gzip", encode: true},
		{name: "held HTML, small pages", paths: c.small, proto: client.Plain},
		{name: "held HTML, small pages, h2", paths: c.small, proto: client.H2},
		{name: "granted HTML, 286 KB mix", paths: c.large, proto: client.Plain, granted: true, target: 1.05},
		{name: "granted HTML, 286 KB mix, h2", paths: c.large, proto: client.H2, granted: true, target: 1.05},
		{name: "granted HTML, 286 KB mix, site sends gzip", prefix: "/gzip", paths: c.large, proto: client.Plain, accept: "gzip", granted: true, target: 1.05},
		{name: "granted HTML, small pages", paths: c.small, proto: client.Plain, granted: true, target: 1.05},
		{name: "CSS, JS, PNG", paths: assets, proto: client.Plain, data: true, target: 1.02},
		{name: "CSS, JS, PNG, h2", paths: assets, proto: client.H2, data: true, target: 1.02},
		{name: "JSON API", paths: []string{"/api/items"}, proto: client.Plain, data: true, target: 1.02},
		{name: "file_server, 64 MiB (sendfile)", paths: []string{"/files/big.bin"}, proto: client.Plain, data: true, target: 1.02},
	}
}

// costs compares the CPU time per request.
func (b *bench) costs(ctx context.Context) (err error) {
	var list []scenario
	for _, s := range b.corpus.scenarios() {
		if b.only.MatchString(s.name) {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil
	}
	p, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := p.Stop(); err == nil {
			err = stopErr
		}
	}()
	if b.profile != "" {
		return b.takeProfile(ctx, p, list)
	}
	fmt.Print("\nCPU time of the gateway's process per request. The ratio is the median over the rounds; in\n" +
		"brackets is where the median is, by 95 %.\n\n" +
		"| scenario | requests a side | bare µs | gated µs | added µs | ratio | target | |\n|---|--:|--:|--:|--:|--:|--:|---|\n")
	for _, s := range list {
		r, err := b.compare(ctx, p, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		low, high := between(r.ratios)
		fmt.Printf("| %s | %d | %.0f | %.0f | %+.1f | %.3f (%.3f–%.3f) | %s |\n", s.name, r.requests,
			r.bare, r.gated, median(r.added), median(r.ratios), low, high, judge(s.target, median(r.ratios), low, high))
	}
	return nil
}

// takeProfile writes a CPU profile of the process while it serves the gated side of
// the scenarios.
func (b *bench) takeProfile(ctx context.Context, p *child.Process, list []scenario) error {
	each := max(2*time.Second, b.block*time.Duration(b.rounds)) // on a core of its own
	done := make(chan error, 1)
	go func() {
		data, err := p.Get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(each.Seconds()*float64(len(list)))))
		if err == nil {
			err = os.WriteFile(b.profile, data, 0o600)
		}
		done <- err
	}()
	for _, s := range list {
		k := &block{proc: p, s: s, client: child.Client(s.proto)}
		side := gated
		if s.encode {
			side = gatedEncode
		}
		for start := time.Now(); time.Since(start) < each; {
			if _, err := k.run(ctx, side, len(s.paths)); err != nil {
				return err
			}
		}
		k.client.CloseIdleConnections()
	}
	return <-done
}

// A comparison is what came out of a scenario, in microseconds per request.
type comparison struct {
	requests      int
	bare, gated   float64
	ratios, added []float64
}

// compare runs blocks of both sides in turn, the order changing with each round.
func (b *bench) compare(ctx context.Context, p *child.Process, s scenario) (*comparison, error) {
	k := &block{proc: p, s: s, client: child.Client(s.proto)}
	defer k.client.CloseIdleConnections()
	sides := [2]string{bare, gated}
	if s.encode {
		sides = [2]string{bareEncode, gatedEncode}
	}
	// The first block warms up, the second tells how many requests make a block of
	// the wanted length: whole runs through the paths.
	n := len(s.paths)
	for range 2 {
		for _, side := range sides {
			took, err := k.run(ctx, side, n)
			if err != nil {
				return nil, err
			}
			n = len(s.paths) * max(1, min(2000, int(b.block.Seconds()/max(took, 1e-6)*float64(n))/len(s.paths)))
		}
	}
	r := &comparison{}
	var bareSum, gatedSum []float64
	for i := range b.rounds {
		var took [2]float64
		for j := range sides {
			side := (i + j) % 2
			t, err := k.run(ctx, sides[side], n)
			if err != nil {
				return nil, err
			}
			took[side] = t / float64(n) * 1e6
		}
		r.requests += n
		r.ratios = append(r.ratios, took[1]/took[0])
		r.added = append(r.added, took[1]-took[0])
		bareSum, gatedSum = append(bareSum, took[0]), append(gatedSum, took[1])
	}
	r.bare, r.gated = median(bareSum), median(gatedSum)
	return r, nil
}

// A block is a number of requests to one side.
type block struct {
	proc   *child.Process
	s      scenario
	client *http.Client
}

// workers ask at the same time; there are no more processors than that to spare.
const workers = 2

// run asks n times and returns the seconds of CPU time the gateway took.
func (k *block) run(ctx context.Context, side string, n int) (float64, error) {
	before, err := k.proc.CPU()
	if err != nil {
		return 0, err
	}
	g, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		g.Go(func() error {
			buf := make([]byte, 64<<10)
			for i := w; i < n; i += workers {
				path := k.s.prefix + k.s.paths[i%len(k.s.paths)]
				if err := k.ask(ctx, k.proc.URL(k.s.proto, side, path), buf); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	after, err := k.proc.CPU()
	return (after - before).Seconds(), err
}

func (k *block) ask(ctx context.Context, url string, buf []byte) error {
	req, err := request(ctx, url, k.s)
	if err != nil {
		return err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{resp.Body}, buf)
	return err
}

// request makes a request as a browser sends it to a site it was at before.
func request(ctx context.Context, url string, s scenario) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	h := req.Header
	h.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
	h.Set("Accept-Language", "en-US,en;q=0.9")
	h.Set("Sec-Fetch-Site", "same-origin")
	if s.data {
		h.Set("Accept", "*/*")
		h.Set("Sec-Fetch-Mode", "no-cors")
		h.Set("Sec-Fetch-Dest", "empty")
	} else {
		h.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
		h.Set("Sec-Fetch-Mode", "navigate")
		h.Set("Sec-Fetch-Dest", "document")
	}
	if s.accept != "" {
		h.Set("Accept-Encoding", s.accept)
	}
	cookies := "sessionid=s3ss10n; csrftoken=t0k3n"
	if s.granted {
		cookies += "; " + client.Granted(s.proto)
	}
	h.Set("Cookie", cookies)
	return req, nil
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
