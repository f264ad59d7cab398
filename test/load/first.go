package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/consentgate/consentgate/test/child"
	"github.com/consentgate/consentgate/test/client"
)

// firstRate is how many requests a second are sent at most, whatever the number of
// clients: a machine that has no time to spare measures its queue.
const firstRate = 300

// firstBytes compares the time to the first byte of a page whose site sends the
// head at once.
func (b *bench) firstBytes(ctx context.Context) (err error) {
	if !b.only.MatchString("first byte") {
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
	fmt.Print("\nTime to the first byte of the body, in milliseconds. Every client asks both sides in turn.\n" +
		"What is added is the median of ten pieces of the time, for the p50 and the p99 each.\n\n" +
		"| clients | requests a side | bare p50 | gated p50 | added | bare p99 | gated p99 | added | target | |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
	for _, proto := range []client.Proto{client.Plain, client.H2} {
		for _, clients := range []int{1, 100} {
			times, err := b.first(ctx, p, proto, clients)
			if err != nil {
				return err
			}
			low, high := times[bare], times[gated]
			verdict := "met"
			added := addedQuantile(low, high, 0.99)
			if added > 2 {
				verdict = "**not met**"
			}
			fmt.Printf("| %d, %s | %d | %.2f | %.2f | %+.2f | %.2f | %.2f | %+.2f | ≤ +2 | %s |\n", clients, proto, len(high),
				median(low), median(high), addedQuantile(low, high, 0.5),
				quantile(low, 0.99), quantile(high, 0.99), added, verdict)
		}
	}
	return nil
}

// first returns the times of both sides, in milliseconds.
func (b *bench) first(ctx context.Context, p *child.Process, proto client.Proto, clients int) (map[string][]float64, error) {
	var mu sync.Mutex
	times := map[string][]float64{}
	k := &block{proc: p, s: scenario{proto: proto}, client: child.Client(proto)}
	defer k.client.CloseIdleConnections()
	rounds := max(1, b.firsts/clients)
	// One client alone waits for its answers; no pause of more is needed.
	think := time.Duration(clients) * time.Second / firstRate
	g, ctx := errgroup.WithContext(ctx)
	for i := range clients {
		g.Go(func() error {
			if err := pause(ctx, rand.N(think)); err != nil {
				return err
			}
			for j := range rounds + 2 {
				for _, side := range [][]string{{bare, gated}, {gated, bare}}[(i+j)%2] {
					t, err := k.firstByte(ctx, p.URL(proto, side, "/early"))
					if err != nil {
						return err
					}
					if j >= 2 { // the connections are there
						mu.Lock()
						times[side] = append(times[side], t.Seconds()*1e3)
						mu.Unlock()
					}
					if err := pause(ctx, think/2+rand.N(think)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	return times, g.Wait()
}

// firstByte asks for a page and returns how long its first byte took. The rest is
// read as well.
func (k *block) firstByte(ctx context.Context, url string) (time.Duration, error) {
	req, err := request(ctx, url, k.s)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	resp, err := k.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", url, resp.Status)
	}
	var one [1]byte
	if _, err := io.ReadFull(resp.Body, one[:]); err != nil {
		return 0, err
	}
	took := time.Since(start)
	_, err = io.Copy(io.Discard, resp.Body)
	return took, err
}
