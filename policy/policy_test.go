package policy

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy/catalog"
)

// mustParse compiles a policy that the test knows to be good.
func mustParse(t testing.TB, yaml string) *Policy {
	t.Helper()
	p, err := Parse("policy.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// grant returns a state in which the named categories are granted.
func grant(p *Policy, ids ...string) consent.State {
	s := consent.State{Decided: true}
	for _, id := range ids {
		s.Granted = s.Granted.With(p.Scheme().Index(id))
	}
	s.Chosen = s.Granted
	return s
}

func grantAll(p *Policy) consent.State {
	return consent.State{Decided: true, Chosen: p.Scheme().Optional(), Granted: p.Scheme().Optional()}
}

// location splits an absolute URL that is already in the form browsers send.
func location(t testing.TB, raw string) Location {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	host := u.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return Location{Scheme: []byte(u.Scheme), Host: []byte(host), Path: []byte(path), Query: []byte(u.RawQuery)}
}

func vendorOf(d Decision) string {
	if d.Vendor == nil {
		return ""
	}
	return d.Vendor.ID
}

func TestDefaultCompiles(t *testing.T) {
	p, err := parse("policy.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Hash() != Default().Hash() {
		t.Error("Default is not what the embedded data compile to")
	}
}

func TestDefault(t *testing.T) {
	p := Default()
	want := []consent.Category{{ID: "necessary", Fixed: true}, {ID: "functional"}, {ID: "analytics", DeniedBy: consent.DNT}, {ID: "marketing", DeniedBy: consent.GPC | consent.DNT}}
	got := p.Scheme().Categories
	if len(got) != len(want) {
		t.Fatalf("categories %v", got)
	}
	for i := range want {
		if got[i].ID != want[i].ID || got[i].Fixed != want[i].Fixed || got[i].DeniedBy != want[i].DeniedBy {
			t.Errorf("category %d is %+v", i, got[i])
		}
		if got[i].Name == "" || got[i].Description == "" {
			t.Errorf("category %s has no name or description", got[i].ID)
		}
	}
	if p.Version() != "1" {
		t.Errorf("version %q", p.Version())
	}
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(p.Hash()) {
		t.Errorf("hash %q", p.Hash())
	}
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	last := ""
	for _, v := range p.Vendors() {
		if v.ID <= last {
			t.Errorf("%s after %s: not sorted or not unique", v.ID, last)
		}
		last, have[v.ID] = v.ID, true
	}
	for _, v := range cat.Vendors {
		if !have[v.ID] {
			t.Errorf("catalog vendor %s is missing", v.ID)
		}
	}
}

func TestEmptyFile(t *testing.T) {
	for _, yaml := range []string{"", "\n \n", "# nothing\n", "\ufeff# mark\n", "---\n", "version:\nvendors:\ncategories:\n"} {
		if p := mustParse(t, yaml); p.Hash() != Default().Hash() {
			t.Errorf("%q is not the built-in policy", yaml)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yaml")
	if err := os.WriteFile(good, []byte("version: two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Load(good)
	if err != nil || p.Version() != "two" {
		t.Fatal(p, err)
	}

	missing := filepath.Join(dir, "missing.yaml")
	_, err = Load(missing)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	want := missing + ":1:1: cannot be read: no such file or directory: check the path and that the gateway's user may read it"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), ":1:1: cannot be read: is a directory: ") {
		t.Errorf("directory: %v", err)
	}

	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, []byte(strings.Repeat("#\n", 600<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(big); err == nil || !strings.Contains(err.Error(), "larger than 1024 KiB") {
		t.Errorf("large file: %v", err)
	}
}

func TestParseNotText(t *testing.T) {
	_, err := Parse("p.yaml", []byte("version: a\nunknown: \xff\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "p.yaml:2:10: a byte that is not UTF-8 text: ") {
		t.Error(err)
	}
}

// TestLimits: a file that is far from what a person writes is refused before it
// costs much.
func TestLimits(t *testing.T) {
	for yaml, want := range map[string]string{
		"version: a\nunknown: " + strings.Repeat("x", maxLine): "p.yaml:2:1: a line of more than 8 KiB: break it up",
		strings.Repeat("a: b\n", maxTokens):                    "p.yaml:1:1: more than 60000 words and signs: split off what the gateway does not need",
		strings.Repeat("#\n", maxFileSize):                     "p.yaml:1:1: the file is larger than 1024 KiB: split off what the gateway does not need",
	} {
		_, err := Parse("p.yaml", []byte(yaml))
		if err == nil || !sameButLine(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

var place = regexp.MustCompile(`:[0-9]+:[0-9]+:`)

func sameButLine(a, b string) bool {
	return place.ReplaceAllString(a, "") == place.ReplaceAllString(b, "")
}

func TestManyFaults(t *testing.T) {
	_, err := Parse("p.yaml", []byte(strings.Repeat("nonsense: 1\n", 5000)))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxFaults+1 || !strings.Contains(lines[maxFaults], "4900 further faults are left out") {
		t.Errorf("%d lines, last %q", len(lines), lines[len(lines)-1])
	}
}

// TestHash shows that the hash follows what the policy decides by, not how the
// file is written.
func TestHash(t *testing.T) {
	base := mustParse(t, "vendors:\n  - id: hotjar\n    category: functional\n").Hash()
	if h := mustParse(t, "# again\nvendors: [{category: functional, id: hotjar}]\nversion: '1'\n").Hash(); h != base {
		t.Error("the same policy written differently has another hash")
	}
	seen := map[string]string{base: "base", Default().Hash(): "default"}
	for _, yaml := range []string{
		"version: 2", "unknown: block", "operator_choice: allow",
		"site: {hosts: [a.example]}", "cookies: [{name: a, category: analytics}]", "cookies: [{name: a, category: marketing}]",
		"cookies: [{name: a, essential: true}]", "cookies: [{name: a, action: allow}]", "cookies: [{name: a, action: block}]", "cookies: [{name: 'a*', category: analytics}]",
		"storage: [{key: a, category: analytics}]", "storage: [{key: a, store: localStorage, category: analytics}]",
		"vendors: [{id: hotjar, action: allow}]", "vendors: [{id: hotjar, action: block}]", "vendors: [{id: hotjar, name: H}]",
		"vendors: [{id: hotjar, hosts: [h.example]}]", "vendors: [{id: hotjar, cookies: [{name: _hjid, action: allow}]}]",
		"vendors: [{id: hotjar, cookies: [{name: _hjid, action: block}]}]", "vendors: [{id: hotjar, cookies: [{name: _hjid, essential: true}]}]",
		"vendors: [{id: hotjar, inline: {loader: [hotjar-loader]}}]", "vendors: [{id: hotjar, inline: {call: [hotjar-loader]}}]",
		"vendors: [{id: hotjar, stub: {shape: array, global: hj}}]",
		"vendors: [{id: hotjar, url_patterns: [{host: h.example, path: /a}]}]", "vendors: [{id: hotjar, url_patterns: [{host: h.example, path: /b}]}]",
		"vendors: [{id: hotjar, url_patterns: [{host: h.example, path: /a, query: {q: a}}]}]",
		"categories: [{id: necessary, fixed: true, covers: [functional, analytics, marketing]}]",
		"categories: [{id: necessary, covers: [functional, analytics, marketing]}]",
		"categories: [{id: necessary, name: N, covers: [functional, analytics, marketing]}]",
	} {
		h := mustParse(t, yaml).Hash()
		if other, ok := seen[h]; ok {
			t.Errorf("%q and %q have the same hash", yaml, other)
		}
		seen[h] = yaml
	}
}

// TestCategories changes names, order, number and which are always on.
func TestCategories(t *testing.T) {
	p := mustParse(t, `
categories:
  - {id: basis, fixed: true, covers: [necessary, functional]}
  - {id: stats, name: Statistics, denied_by: [gpc], covers: [analytics]}
  - {id: ads, covers: [marketing]}
  - {id: extra}
vendors:
  - {id: hotjar, category: extra}
`)
	if n := len(p.Scheme().Categories); n != 4 {
		t.Fatal(n)
	}
	b := p.Bind(grant(p, "stats"), "www.example.com")
	for raw, want := range map[string]Action{
		"https://widget.intercom.io/widget/x":                Allow, // functional, always on here
		"https://www.googletagmanager.com/gtag/js?id=G-ABC":  Allow,
		"https://connect.facebook.net/en_US/fbevents.js":     Block,
		"https://static.hotjar.com/c/hotjar-1.js":            Block,
		"https://ajax.googleapis.com/ajax/libs/jquery/j.js":  Allow,
		"https://www.googletagmanager.com/gtag/js?id=AW-ABC": Block,
	} {
		if d := b.Resource(Script, location(t, raw)); d.Action != want {
			t.Errorf("%s: %s (%s)", raw, d.Action, d.Reason)
		}
	}
	if p.Scheme().Categories[1].DeniedBy != consent.GPC {
		t.Error("denied_by")
	}
}

func TestMaxCategories(t *testing.T) {
	var y strings.Builder
	y.WriteString("categories:\n  - {id: c0, covers: [necessary, functional, analytics, marketing]}\n")
	for i := 1; i < consent.MaxCategories; i++ {
		y.WriteString("  - id: c" + string(rune('a'+i/10)) + string(rune('0'+i%10)) + "\n")
	}
	p := mustParse(t, y.String()+"vendors: [{id: hotjar, category: cg3}]\n")
	v := p.Bind(grant(p, "cg3"), "").Resource(Script, location(t, "https://static.hotjar.com/c/hotjar-1.js"))
	if v.Action != Allow || v.Category != 63 {
		t.Errorf("%+v", v)
	}
}

// FuzzParse: whatever the file holds, Parse returns either a policy that
// answers or an error of whole lines.
func FuzzParse(f *testing.F) {
	for _, glob := range []string{"testdata/errors/*.txt", "testdata/good/*.yaml"} {
		files, _ := filepath.Glob(glob)
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			yaml, _, _ := strings.Cut(string(data), dashes)
			f.Add([]byte(yaml))
		}
	}
	f.Add([]byte(catalog.DefaultPolicy()))
	line := regexp.MustCompile(`^p:[0-9]+:[0-9]+: .+: .+$`)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("p", data)
		if err != nil {
			for _, l := range strings.Split(err.Error(), "\n") {
				if !line.MatchString(l) {
					t.Errorf("odd error line %q", l)
				}
			}
			return
		}
		b := p.Bind(consent.State{}, "www.example.com")
		b.Resource(Script, Location{Host: []byte("a.example"), Path: []byte("/x")})
		b.SetCookie("a")
		b.Variant()
	})
}
