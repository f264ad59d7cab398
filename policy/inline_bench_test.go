package policy

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/net/html"
)

// pageScripts returns the inline scripts of the saved pages, at most one peek of
// each.
func pageScripts(tb testing.TB) (scripts [][]byte, names []string) {
	tb.Helper()
	files, _ := filepath.Glob("../../shared/data/pages/*.html")
	if len(files) == 0 {
		tb.Skip("no saved pages here")
	}
	for _, file := range files {
		page, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		z := html.NewTokenizer(bytes.NewReader(page))
		runs := false
		for tt := z.Next(); tt != html.ErrorToken; tt = z.Next() {
			switch tt {
			case html.StartTagToken:
				t := z.Token()
				runs = t.Data == "script"
				for _, a := range t.Attr {
					if a.Key == "src" || a.Key == "type" && a.Val != "" && a.Val != "module" && a.Val != "text/javascript" && a.Val != "application/javascript" {
						runs = false
					}
				}
			case html.TextToken:
				if runs {
					text := bytes.Clone(z.Raw())
					scripts = append(scripts, text[:min(len(text), 64<<10)])
					names = append(names, filepath.Base(file))
				}
				runs = false
			}
		}
	}
	return scripts, names
}

func BenchmarkInlineScan(b *testing.B) {
	m := catalogMatcher(b)
	scripts, _ := pageScripts(b)
	bench := func(name string, blocked func(*Vendor) bool, limit int, slow bool) {
		b.Run(name, func(b *testing.B) {
			var size int64
			var set [][]byte
			for _, s := range scripts {
				loader, calls := m.match(s, anyVendor, nil)
				if len(s) >= limit && (slow || loader == nil && len(calls) == 0) {
					size += int64(len(s))
					set = append(set, s)
				}
			}
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				for _, s := range set {
					m.match(s, blocked, nil)
				}
			}
		})
	}
	bench("all/refused", anyVendor, 0, true)
	bench("all/granted", noVendor, 0, true)
	bench("nohit/refused", anyVendor, 0, false)
	bench("nohit/from4KiB", anyVendor, 4<<10, false)
}
