package policy

import "testing"

func TestNormalizeHost(t *testing.T) {
	for in, want := range map[string]string{
		"www.example.com":   "www.example.com",
		"WWW.Example.COM":   "www.example.com",
		"example.com.":      "example.com",
		"bücher.example":    "xn--bcher-kva.example",
		"BÜCHER.example":    "xn--bcher-kva.example",
		"www。example。com":   "www.example.com",
		"ｗｗｗ.example.com":   "www.example.com",
		"xn--bcher-kva.com": "xn--bcher-kva.com",
		"a_b.example.com":   "a_b.example.com",
		"localhost":         "localhost",
		"192.0.2.1":         "192.0.2.1",
		"2001:DB8::1":       "[2001:db8::1]",
		"[2001:db8:0::1]":   "[2001:db8::1]",
	} {
		if got, err := normalizeHost(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for in, want := range map[string]error{
		"":                     errHostEmpty,
		"https://example.com":  errHostScheme,
		"//example.com":        errHostScheme,
		"example.com/path":     errHostPath,
		"example.com?x":        errHostPath,
		`example.com\x`:        errHostPath,
		"example.com:443":      errHostPort,
		"user@example.com":     errHostPort,
		"*.example.com":        errHostStar,
		"exam ple.com":         errHostBad,
		"a..example.com":       errHostBad,
		".example.com":         errHostBad,
		"exa%6dple.com":        errHostBad,
		"example.com\u202e":    errHostBad,
		"<script>.example.com": errHostBad,
	} {
		if got, err := normalizeHost(in); err != want {
			t.Errorf("%q: %q, %v, want %v", in, got, err, want)
		}
	}
}

func TestSiteOf(t *testing.T) {
	for host, want := range map[string]string{
		"www.example.com":    "example.com",
		"example.com":        "example.com",
		"a.b.example.co.uk":  "example.co.uk",
		"co.uk":              "",
		"com":                "",
		"alice.github.io":    "alice.github.io",
		"x.alice.github.io":  "alice.github.io",
		"localhost":          "",
		"127.0.0.1":          "",
		"[::1]":              "",
		"":                   "",
		"www.site.internal":  "site.internal",
		"www.example.com.":   "",
		"xn--bcher-kva.test": "xn--bcher-kva.test",
	} {
		if got := siteOf(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}
