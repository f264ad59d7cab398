package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/consentgate/consentgate/test/child"
	"github.com/consentgate/consentgate/test/client"
)

// A stream is a page that begins and does not go on.
type stream struct {
	name, path, accept string
	data               bool
	target             float64 // KiB a stream may hold, more than bare
}

var streams = []stream{
	{name: "page, 20 KB sent", path: "/stalled", target: 64},
	{name: "page in gzip, 20 KB sent", path: "/stalled-gzip", accept: "gzip", target: 64},
	{name: "page, in a script of 60 KB", path: "/open", target: 64},
	{name: "JSON, 20 KB sent", path: "/stalled.json", data: true},
}

// A state is the memory of the process after a collection, in bytes.
type state struct{ heap, stacks, resident float64 }

// memory compares what a stream holds while its site has nothing to say.
func (b *bench) memory(ctx context.Context) error {
	if !b.only.MatchString("memory") {
		return nil
	}
	fmt.Printf("\nMemory per stream in KiB, of %d streams that wait for their site. Each side has a process of its own;\n"+
		"heap and stacks are those after a collection, the resident set is all it ever needed.\n\n"+
		"| stream | bare heap+stacks | gated heap+stacks | added | bare resident | gated resident | added | bytes sent | bytes held | target | |\n"+
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n", b.streams)
	for _, s := range streams {
		var kib, resident [2]float64
		var arrived [2]int64
		for i, side := range []string{bare, gated} {
			st, n, err := b.hold(ctx, side, s)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", s.name, side, err)
			}
			per := float64(b.streams) * 1024
			kib[i], resident[i], arrived[i] = (st.heap+st.stacks)/per, st.resident/per, n
		}
		verdict := "– | "
		if s.target > 0 {
			verdict = fmt.Sprintf("≤ +%.0f | met", s.target)
			if kib[1]-kib[0] > s.target || resident[1]-resident[0] > s.target {
				verdict = fmt.Sprintf("≤ +%.0f | **not met**", s.target)
			}
		}
		sent := b.corpus.bodies[s.path].stall
		held := fmt.Sprint(max(0, int64(sent)-arrived[1])) // what is inserted arrives as well
		if s.accept != "" {
			held = "–" // what arrives is not in the coding of what was sent
		}
		fmt.Printf("| %s | %.1f | %.1f | %+.1f | %.1f | %.1f | %+.1f | %d | %s | %s |\n", s.name,
			kib[0], kib[1], kib[1]-kib[0], resident[0], resident[1], resident[1]-resident[0], sent, held, verdict)
	}
	return nil
}

// hold opens the streams at a fresh process, and returns what they added to its
// memory and how many bytes of one arrived.
func (b *bench) hold(ctx context.Context, side string, s stream) (added state, arrived int64, err error) {
	p, err := b.start(ctx)
	if err != nil {
		return state{}, 0, err
	}
	defer func() {
		if stopErr := p.Stop(); err == nil {
			err = stopErr
		}
	}()
	before, err := weigh(ctx, p)
	if err != nil {
		return state{}, 0, err
	}
	open := &openStreams{client: child.Client(client.Plain)}
	defer open.close()
	url := p.URL(client.Plain, side, s.path)
	if err := open.add(ctx, url, scenario{proto: client.Plain, accept: s.accept, data: s.data}, b.streams); err != nil {
		return state{}, 0, err
	}
	// All have sent, and nothing arrives any more.
	for last, quiet := int64(-1), 0; quiet < 5; {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return state{}, 0, err
		}
		n := open.arrived.Load()
		if n == last && b.site.stalled.Load() == int64(b.streams) {
			quiet++
		} else {
			quiet = 0
		}
		last = n
	}
	after, err := weigh(ctx, p)
	if err != nil {
		return state{}, 0, err
	}
	open.close()
	for b.site.stalled.Load() > 0 { // they are gone before the next ones come
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return state{}, 0, err
		}
	}
	added = state{after.heap - before.heap, after.stacks - before.stacks, after.resident - before.resident}
	return added, open.arrived.Load() / int64(b.streams), nil
}

func weigh(ctx context.Context, p *child.Process) (state, error) {
	if err := p.Collect(ctx); err != nil {
		return state{}, err
	}
	m, err := p.Metrics(ctx)
	return state{m["go_memstats_heap_alloc_bytes"], m["go_memstats_stack_inuse_bytes"], m["process_resident_memory_bytes"]}, err
}

// openStreams are responses that are being read.
type openStreams struct {
	client  *http.Client
	arrived atomic.Int64
	bodies  []io.ReadCloser
	readers sync.WaitGroup
}

// add opens n of them.
func (o *openStreams) add(ctx context.Context, url string, s scenario, n int) error {
	var mu sync.Mutex
	g := errgroup.Group{}
	g.SetLimit(20)
	for range n {
		g.Go(func() error {
			req, err := request(ctx, url, s)
			if err != nil {
				return err
			}
			resp, err := o.client.Do(req) //nolint:bodyclose // by close
			if err != nil {
				return err
			}
			mu.Lock()
			o.bodies = append(o.bodies, resp.Body)
			mu.Unlock()
			o.readers.Go(func() {
				buf := make([]byte, 4<<10)
				for {
					n, err := resp.Body.Read(buf)
					o.arrived.Add(int64(n))
					if err != nil {
						return
					}
				}
			})
			return nil
		})
	}
	return g.Wait()
}

// close breaks them off; it is safe to call twice.
func (o *openStreams) close() {
	for _, b := range o.bodies {
		_ = b.Close()
	}
	o.bodies = nil
	o.readers.Wait()
	o.client.CloseIdleConnections()
}
