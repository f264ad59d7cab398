// Command soak holds a mixed load on the gateway for a time, and tells whether its
// heap or its goroutines grow:
//
//	go run ./test/soak -for 20m -o docs/soak.png
//
// The gateway is a process of its own, made from the built binary. The site behind
// it and its visitors are here: pages of all sizes, in all codings, over HTTP/1.1,
// 2 and 3, for visitors who chose all, some or nothing; what pages load; HEAD,
// conditional requests and ranges; event streams and WebSockets that stay open;
// visitors who leave and sites that break off; choices; and a reload each minute.
//
// It prints what happened and the slopes, draws a picture, and fails if something
// grows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/consentgate/consentgate/test/child"
)

func main() {
	log.SetFlags(0)
	var o options
	flag.DurationVar(&o.length, "for", 20*time.Minute, "how long")
	flag.StringVar(&o.picture, "o", "", "draw the picture into this PNG file")
	flag.Float64Var(&o.rate, "rate", 50, "requests a second, beside the open streams")
	flag.IntVar(&o.streams, "streams", 24, "streams that are open at any time")
	flag.DurationVar(&o.reload, "reload", time.Minute, "time between reloads of the configuration; 0: none")
	flag.DurationVar(&o.every, "every", 2*time.Second, "time between samples")
	flag.StringVar(&o.binary, "binary", "", "soak this binary instead of building one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

type options struct {
	length, reload, every time.Duration
	rate                  float64
	streams               int
	picture, binary       string
}

// siteName is the site of the gateway that is under load.
const siteName = "site"

// run soaks and judges. The gateway is stopped when it returns.
func run(ctx context.Context, o options) (err error) {
	if o.length < 20*o.every {
		return fmt.Errorf("-for %v: at least twenty samples are needed, one each %v", o.length, o.every)
	}
	var remove func() error
	if o.binary, remove, err = child.Binary(ctx, o.binary); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	site, err := startOrigin()
	if err != nil {
		return err
	}
	defer site.close()
	p, err := child.Start(ctx, o.binary, child.Config{Sites: map[string]string{siteName: fmt.Sprintf(
		"encode\nconsent\nreverse_proxy %s {\n\tstream_close_delay 2m\n}\nhandle_errors {\n\tconsent\n\trespond \"{err.status_code} {err.status_text}\"\n}", site.addr)}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	r, err := soak(ctx, p, o)
	if err != nil {
		return err
	}
	verdicts := r.judge(o)
	r.print(verdicts)
	if o.picture != "" {
		if err := writePicture(o.picture, r, verdicts); err != nil {
			return err
		}
		fmt.Printf("\nThe picture is %s.\n", o.picture)
	}
	for _, v := range verdicts {
		if v.counts && !v.flat {
			err = errors.Join(err, fmt.Errorf("%s grow: %+.2f %s an hour", v.name, v.slope*60, v.unit))
		}
	}
	return err
}

// soak holds the load and takes the samples.
func soak(ctx context.Context, p *child.Process, o options) (*record, error) {
	ctx, cancel := context.WithTimeout(ctx, o.length)
	defer cancel()
	l := newLoad(p)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { l.run(ctx, o.rate, o.streams) })

	r := &record{load: l}
	begin := time.Now()
	var reload <-chan time.Time
	if o.reload > 0 {
		t := time.NewTicker(o.reload)
		defer t.Stop()
		reload = t.C
	}
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	own := ownCPU()
	for {
		select {
		case <-ctx.Done():
			r.ownShare = (ownCPU() - own).Seconds() / time.Since(begin).Seconds()
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return r, nil
			}
			return nil, errors.New("interrupted")
		case <-reload:
			l.reloaded.Store(time.Now().UnixNano())
			err := p.Reload(ctx)
			if ctx.Err() == nil {
				l.count("reload", err)
				r.reloads = append(r.reloads, time.Since(begin).Minutes())
			}
		case <-tick.C:
			s, err := take(ctx, p, begin)
			if ctx.Err() != nil {
				continue
			}
			if err != nil {
				return nil, errors.Join(err, p.Ended())
			}
			s.times = l.taken()
			r.samples = append(r.samples, s)
		}
	}
}

func ownCPU() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// print says what happened and what it means.
func (r *record) print(verdicts []verdict) {
	l := r.load
	l.mu.Lock()
	defer l.mu.Unlock()
	first, last := r.samples[0], r.samples[len(r.samples)-1]
	fmt.Printf("%.1f minutes. CPU time: the gateway %.0f %% of a core, the load %.0f %%.\n\n", last.minute,
		100*(last.cpu-first.cpu)/(60*(last.minute-first.minute)), 100*r.ownShare)
	for _, name := range slices.Sorted(maps.Keys(l.counts)) {
		fmt.Printf("%8d  %s\n", l.counts[name], name)
	}
	if len(l.faults) > 0 {
		fmt.Println("\nOf these went wrong:")
	}
	for _, name := range slices.Sorted(maps.Keys(l.faults)) {
		fmt.Printf("%8d  %s\n", l.faults[name], name)
	}
	fmt.Printf("\nSlopes over the last three quarters; in brackets is where they are, by 95 %%.\n\n" +
		"| | mean | slope an hour | drift in that time | |\n|---|--:|--:|--:|---|\n")
	for _, v := range verdicts {
		word := "flat"
		switch {
		case !v.flat && v.counts:
			word = "**grows**"
		case !v.flat:
			word = "rises (not judged)"
		}
		fmt.Printf("| %s | %.2f %s | %+.2f (%+.2f to %+.2f) | %+.1f %% | %s |\n", v.name, v.mean, v.unit,
			60*v.slope, 60*(v.slope-v.margin), 60*(v.slope+v.margin), 100*v.drift, word)
	}
}
