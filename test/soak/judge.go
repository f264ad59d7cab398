package main

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/consentgate/consentgate/test/child"
)

// A sample is the gateway at one moment. Sizes are in MiB.
type sample struct {
	minute           float64
	heap, inUse, rss float64
	goroutines, cpu  float64
	times            []float64 // of the requests since the one before, in milliseconds
}

func take(ctx context.Context, p *child.Process, begin time.Time) (sample, error) {
	m, err := p.Metrics(ctx)
	const mib = 1 << 20
	return sample{
		minute: time.Since(begin).Minutes(),
		heap:   m["go_memstats_heap_alloc_bytes"] / mib, inUse: m["go_memstats_heap_inuse_bytes"] / mib,
		rss: m["process_resident_memory_bytes"] / mib, goroutines: m["go_goroutines"], cpu: m["process_cpu_seconds_total"],
	}, err
}

// A record is all that was seen.
type record struct {
	load     *load
	samples  []sample
	reloads  []float64 // minutes
	ownShare float64   // of a core
}

// A point is a value of one window, and its middle.
type point struct{ minute, value float64 }

// window puts the samples together, those of half a minute or, of a short run, of
// less. The heap is a saw that garbage collection cuts: its lower edge is what is
// really held.
func (r *record) window(length time.Duration, value func([]sample) (float64, bool)) []point {
	width := min(30*time.Second, max(10*time.Second, length/40)).Minutes()
	var points []point
	var bin []sample
	flush := func() {
		if len(bin) == 0 {
			return
		}
		if v, ok := value(bin); ok {
			points = append(points, point{(bin[0].minute + bin[len(bin)-1].minute) / 2, v})
		}
		bin = bin[:0]
	}
	edge := width
	for _, s := range r.samples {
		for s.minute >= edge {
			flush()
			edge += width
		}
		bin = append(bin, s)
	}
	flush()
	return points
}

func lowest(f func(sample) float64) func([]sample) (float64, bool) {
	return func(bin []sample) (float64, bool) {
		v := math.Inf(1)
		for _, s := range bin {
			v = min(v, f(s))
		}
		return v, true
	}
}

func timeQuantile(q float64) func([]sample) (float64, bool) {
	return func(bin []sample) (float64, bool) {
		var all []float64
		for _, s := range bin {
			all = append(all, s.times...)
		}
		if len(all) == 0 {
			return 0, false
		}
		slices.Sort(all)
		return all[min(len(all)-1, int(q*float64(len(all))))], true
	}
}

// A verdict is the line through a series' last three quarters.
type verdict struct {
	name, unit   string
	points       []point
	mean         float64
	slope        float64 // per minute
	margin       float64 // the slope is within so much of it, by 95 %
	intercept    float64
	from, to     float64 // minutes
	drift        float64 // over that time, as a share of the mean
	flat, counts bool
}

// smallDrift is a change nobody would call growth, even if it is certain: caches
// and pools fill for long.
const smallDrift = 0.02

func (r *record) judge(o options) []verdict {
	list := []verdict{
		{name: "heap, lowest of each window", unit: "MiB", counts: true, points: r.window(o.length, lowest(func(s sample) float64 { return s.heap }))},
		{name: "heap spans in use, lowest", unit: "MiB", counts: true, points: r.window(o.length, lowest(func(s sample) float64 { return s.inUse }))},
		{name: "goroutines, lowest", unit: "", counts: true, points: r.window(o.length, lowest(func(s sample) float64 { return s.goroutines }))},
		{name: "resident set", unit: "MiB", points: r.window(o.length, lowest(func(s sample) float64 { return s.rss }))},
		{name: "latency p50", unit: "ms", points: r.window(o.length, timeQuantile(0.5))},
		{name: "latency p99", unit: "ms", points: r.window(o.length, timeQuantile(0.99))},
	}
	for i := range list {
		list[i].fit(o.length.Minutes() / 4)
	}
	return list
}

// fit lays a line through the points from a time on, by least squares. Neighbours
// resemble each other: a reload touches several. So the margin counts only as many
// points as are worth their distance.
func (v *verdict) fit(from float64) {
	var pts []point
	for _, p := range v.points {
		if p.minute >= from {
			pts = append(pts, p)
		}
	}
	n := float64(len(pts))
	if n < 4 {
		v.flat, v.margin = false, math.Inf(1)
		return
	}
	v.from, v.to = pts[0].minute, pts[len(pts)-1].minute
	var mx, my, sxx, sxy float64
	for _, p := range pts {
		mx, my = mx+p.minute/n, my+p.value/n
	}
	for _, p := range pts {
		sxx += (p.minute - mx) * (p.minute - mx)
		sxy += (p.minute - mx) * (p.value - my)
	}
	v.mean, v.slope = my, sxy/sxx
	v.intercept = my - v.slope*mx
	var rss, lag float64
	before := 0.0
	for _, p := range pts {
		rest := p.value - v.intercept - v.slope*p.minute
		rss, lag = rss+rest*rest, lag+rest*before
		before = rest
	}
	worth := n
	if rss > 0 {
		rho := min(max(0, lag/rss), 0.8)
		worth = max(4, n*(1-rho)/(1+rho))
	}
	v.margin = student(worth-2) * math.Sqrt(rss/(n-2)/sxx*n/worth)
	v.drift = v.slope * (v.to - v.from) / v.mean
	v.flat = v.slope-v.margin <= 0 || v.drift < smallDrift
}

// student is the distance, in standard errors, that holds 95 % with so many
// degrees of freedom (Abramowitz and Stegun, 26.7.5).
func student(df float64) float64 { return 1.96 + 2.372/df + 2.823/(df*df) + 2.556/(df*df*df) }
