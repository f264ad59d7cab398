package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A result is all that was measured of one benchmark.
type result struct {
	name   string
	values map[string][]float64 // by unit
}

// median returns the middle of a unit's values, 0 if there are none.
func (r *result) median(unit string) float64 {
	v := slices.Sorted(slices.Values(r.values[unit]))
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

// speed returns the megabytes one second of CPU time is good for.
func (r *result) speed() float64 {
	if t := r.median("cpu-ns/op"); t > 0 {
		return r.median("bytes/op") / t * 1e3
	}
	return 0
}

// perPage returns the share of one page.
func (r *result) perPage(unit string) float64 {
	return r.median(unit) / max(1, r.median("pages/op"))
}

// parse reads the output of benchmarks, in the order of their first appearance.
func parse(text string) (list []*result) {
	byName := map[string]*result{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		_, name, _ := strings.Cut(f[0], "/")
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i] // the number of processors
		}
		r := byName[name]
		if r == nil {
			r = &result{name: name, values: map[string][]float64{}}
			byName[name], list = r, append(list, r)
		}
		for i := 2; i+1 < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i], 64); err == nil {
				r.values[f[i+1]] = append(r.values[f[i+1]], v)
			}
		}
	}
	return list
}

func find(list []*result, name string) *result {
	for _, r := range list {
		if r.name == name {
			return r
		}
	}
	return &result{}
}

// columns writes a table to standard output.
func columns(head string, rows func(row func(format string, a ...any))) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(format string, a ...any) { _, _ = fmt.Fprintf(w, format+"\n", a...) }
	row("%s", head)
	rows(row)
	_ = w.Flush()
}

// printStages prints medians over all rounds; headers are per request.
func printStages(list []*result) {
	peer := find(list, "tokenizer").speed()
	columns("stage\tMB/s of CPU time\tx tokenizer\tCPU µs/page\tallocs/page\tB/page\theld B\t", func(row func(string, ...any)) {
		for _, r := range list {
			speed, ratio := "-", "-"
			if v := r.speed(); v > 0 {
				speed, ratio = fmt.Sprintf("%.0f", v), fmt.Sprintf("%.1f", v/peer)
			}
			row("%s\t%s\t%s\t%.1f\t%.1f\t%.0f\t%.0f\t", r.name, speed, ratio,
				r.perPage("cpu-ns/op")/1e3, r.perPage("allocs/op"), r.perPage("B/op"), r.median("held-B"))
		}
	})
}

// printSlowest names the page with the lowest speed, and says what it has more of
// than others.
func printSlowest(list []*result) {
	slices.SortFunc(list, func(a, b *result) int { return cmp.Compare(a.speed(), b.speed()) })
	if len(list) == 0 {
		return
	}
	units := []string{"MB/s", "KiB", "code", "asked/KiB", "tags/KiB", "looks/B", "readings"}
	fmt.Println("\nThe slowest pages, and the median of all. Code is inline script, in percent; asked are the")
	fmt.Println("questions to the policy; looks are how often a byte is read;")
	fmt.Println("where a page has more readings than one, every possible tag is judged.")
	columns("page\t"+strings.Join(units, "\t")+"\t", func(row func(string, ...any)) {
		line := func(name string, value func(unit string) float64) {
			text := name + "\t"
			for _, u := range units {
				text += fmt.Sprintf("%.1f\t", value(u))
			}
			row("%s", text)
		}
		value := func(r *result, unit string) float64 {
			if unit == "MB/s" {
				return r.speed()
			}
			return r.median(unit)
		}
		for _, r := range list[:min(3, len(list))] {
			line(r.name, func(unit string) float64 { return value(r, unit) })
		}
		line("median", func(unit string) float64 {
			all := result{values: map[string][]float64{}}
			for _, r := range list {
				all.values[unit] = append(all.values[unit], value(r, unit))
			}
			return all.median(unit)
		})
	})
}

// printRatios prints how much faster the second build is.
func printRatios(plain, profiled []*result) {
	columns("stage\twithout MB/s\twith MB/s\tratio\t", func(row func(string, ...any)) {
		for _, r := range plain {
			if a, b := r.speed(), find(profiled, r.name).speed(); a > 0 {
				row("%s\t%.0f\t%.0f\t%.2f\t", r.name, a, b, b/a)
			}
		}
	})
}

// printCodings prints levels beside the rewriting of the same pages: the time they
// take, how many times smaller they make the pages, and their memory. The last two
// columns are of the first 16 KiB of each page.
func printCodings(list []*result) {
	number := func(format string, v float64) string {
		if v == 0 {
			return "-"
		}
		return fmt.Sprintf(format, v)
	}
	columns("level\tMB/s\ttime of the rewriting\tsmaller\tKiB a stream\tstarts: time\tsmaller\t", func(row func(string, ...any)) {
		for _, r := range list {
			name, ok := strings.CutSuffix(r.name, "/pages")
			if !ok {
				continue
			}
			var time, smaller [2]string
			for i, set := range []string{"pages", "starts"} {
				x, peer := find(list, name+"/"+set), find(list, "rewriting/"+set)
				time[i] = number("%.2f", x.median("cpu-ns/op")/peer.median("cpu-ns/op"))
				ratio := 0.0
				if coded := x.median("coded-B/op"); coded > 0 {
					ratio = x.median("bytes/op") / coded
				}
				smaller[i] = number("%.2f", ratio)
			}
			row("%s\t%.0f\t%s\t%s\t%s\t%s\t%s\t", strings.ReplaceAll(name, "_", " "), r.speed(),
				time[0], smaller[0], number("%.0f", r.median("stream-B")/(1<<10)), time[1], smaller[1])
		}
	})
}
