package policy

import (
	"strings"
	"testing"
	"time"
)

// BenchmarkInlineDoubling prints how the time of judging one script grows when the
// script doubles, up to what is looked at of one:
//
//	go test ./policy -run '^$' -bench InlineDoubling -benchtime 1x
//
// Each ratio is that of the best times for a length and for half of it.
func BenchmarkInlineDoubling(b *testing.B) {
	m := catalogMatcher(b)
	const host = "https://connect.facebook.net/en_US/fbevents.js "
	for _, f := range []struct{ name, head, piece, tail string }{
		{"brackets in a string", `x="`, "(", `";fbq('track')`},
		{"brackets", "", "(", ";fbq('track')"},
		{"brackets in an open string", `fbq('track');x="`, "(", ""},
		{"quotes", "fbq('track');", `"'`, ""},
		{"tags in a string", `x="`, "<a ", `";fbq('track')`},
		{"tags in code", "", "a<b>c;", ";fbq('track')"},
		{"slashes", "", "/a/b;", ";fbq('track')"},
		{"regular expressions", "", "=/[/]\\//;", ";fbq('track')"},
		{"open comments", "fbq('track')", "/*", ""},
		{"templates in templates", "", "`${", "fbq('track')"},
		{"vendors in a string", `x="`, host, `"`},
		{"vendors in strings", "", `"` + host + `",`, ""},
		{"vendors in a comment", "/*", host, "*/"},
		{"calls", "", "fbq('track');", ""},
		{"loaders without a load", "", "x='" + host + "';", ""},
		{"half an address", `x="`, "https://connect.", `";fbq('track')`},
		{"white space", "x=", " ", ";fbq ('track')"},
		{"white space in signatures", "", "fbq (", ""},
		{"escapes", `x="`, `\x66`, `";fbq('track')`},
		{"escaped slashes", `x="`, `\/`, `";fbq('track')`},
	} {
		b.Run(f.name, func(b *testing.B) {
			const sizes = 5 // 4 to 64 KiB
			var best [sizes]time.Duration
			for b.Loop() {
				for i := range best {
					n := (4<<10)<<i - len(f.head) - len(f.tail)
					code := []byte(f.head + strings.Repeat(f.piece, max(1, n/len(f.piece))) + f.tail)
					for round := range 20 {
						start := time.Now()
						m.match(code, anyVendor, nil)
						if d := time.Since(start); round == 0 || d < best[i] {
							best[i] = d
						}
					}
				}
			}
			for i, name := range []string{"8KiB", "16KiB", "32KiB", "64KiB"} {
				b.ReportMetric(float64(best[i+1])/float64(best[i]), "x/"+name)
			}
			b.ReportMetric((64<<10)/1e6/best[sizes-1].Seconds(), "MB/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
