package catalog

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func mustLoad(t *testing.T) *Catalog {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCounts(t *testing.T) {
	c := mustLoad(t)
	cookies, storage := 0, 0
	for _, v := range c.Vendors {
		cookies += len(v.Cookies)
		storage += len(v.Storage)
	}
	got := [...]int{len(c.Vendors), cookies, storage, len(c.Essential)}
	if want := [...]int{82, 450, 116, 89}; got != want {
		t.Errorf("vendors, cookies, storage keys, essential cookies: %v, want %v", got, want)
	}
}

func TestWords(t *testing.T) {
	seen := map[string]bool{}
	id := regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	for _, v := range mustLoad(t).Vendors {
		if seen[v.ID] || !id.MatchString(v.ID) {
			t.Errorf("id %q twice or odd", v.ID)
		}
		seen[v.ID] = true
		if v.Name == "" || v.Owner == "" {
			t.Errorf("%s has no name or owner", v.ID)
		}
		if !slices.Contains(Categories[:], v.Category) {
			t.Errorf("%s: category %q", v.ID, v.Category)
		}
		if !slices.Contains(Actions[:], v.DefaultAction) {
			t.Errorf("%s: action %q", v.ID, v.DefaultAction)
		}
		if !slices.Contains(Shapes[:], v.Stub.Shape) {
			t.Errorf("%s: stub %q", v.ID, v.Stub.Shape)
		}
		for _, k := range v.Cookies {
			if !slices.Contains(Categories[:], k.Category) || k.Party != "first" && k.Party != "third" {
				t.Errorf("%s: cookie %+v", v.ID, k)
			}
		}
	}
}

// TestPatterns holds name, match and pattern of every cookie and key against
// each other, and compiles whatever is an expression.
func TestPatterns(t *testing.T) {
	check := func(of, name, match, pattern string) {
		re, err := regexp.Compile(pattern)
		if err != nil {
			t.Errorf("%s: %v", of, err)
			return
		}
		want := pattern
		switch match {
		case "exact":
			want = "^" + regexp.QuoteMeta(name) + "$"
		case "prefix":
			want = "^" + regexp.QuoteMeta(name)
		case "regex":
			if name != pattern {
				t.Errorf("%s: name %q, pattern %q", of, name, pattern)
			}
		default:
			t.Errorf("%s: match %q", of, match)
		}
		if regexp.MustCompile(want).String() != re.String() {
			t.Errorf("%s: pattern %q, want %q", of, pattern, want)
		}
	}
	c := mustLoad(t)
	for _, k := range c.Essential {
		check("essential", k.Name, k.Match, k.Pattern)
		if k.Group == "" || k.Purpose == "" || len(k.Source) == 0 {
			t.Errorf("essential %s lacks group, purpose or source", k.Name)
		}
	}
	for _, v := range c.Vendors {
		for _, k := range v.Cookies {
			check(v.ID, k.Name, k.Match, k.Pattern)
		}
		for _, k := range v.Storage {
			check(v.ID, k.Key, k.Match, k.Pattern)
			if k.Store != "localStorage" && k.Store != "sessionStorage" && k.Store != "indexedDB" {
				t.Errorf("%s: store %q", v.ID, k.Store)
			}
		}
		for _, u := range slices.Concat(v.URLPatterns, v.NoscriptPatterns, v.BeaconEndpoints) {
			if u.Host == "" || !strings.HasPrefix(u.Path, "/") {
				t.Errorf("%s: %+v", v.ID, u)
			}
			if strings.ContainsAny(u.Path, "[(\\") {
				if _, err := regexp.Compile(u.Path); err != nil {
					t.Errorf("%s: %v", v.ID, err)
				}
			}
			for _, q := range u.Query {
				if _, err := regexp.Compile(q); err != nil {
					t.Errorf("%s: %v", v.ID, err)
				}
			}
		}
		for _, s := range slices.Concat(v.Inline.Loader, v.Inline.Call) {
			if strings.ContainsAny(s, " \t\r\n\"") {
				t.Errorf("%s: signature %q holds white space or double quotes", v.ID, s)
			}
		}
	}
}

// TestSources: every fact names its sources, and what no independent source
// vouches for can be told from the rest.
func TestSources(t *testing.T) {
	known := regexp.MustCompile(`^(open-cookie-database|third-party-web|tarteaucitron|nuxt-scripts|segment-integrations|c15t|duckduckgo-tracker-surrogates|vendor page read: .+|third-party page read: .+|published policy of a site \(text\)|vendor documentation \(unverified\))$`)
	unverified, verified := 0, 0
	check := func(of string, sources []string) {
		if len(sources) == 0 {
			t.Errorf("%s has no source", of)
		}
		for _, s := range sources {
			if !known.MatchString(s) {
				t.Errorf("%s: unknown source %q", of, s)
			}
		}
		if IsUnverified(sources) {
			unverified++
		} else {
			verified++
		}
	}
	for _, v := range mustLoad(t).Vendors {
		check(v.ID, v.Source)
		for _, k := range v.Cookies {
			check(v.ID+" cookie "+k.Name, k.Source)
		}
		for _, k := range v.Storage {
			check(v.ID+" key "+k.Key, k.Source)
		}
		for _, h := range slices.Concat(v.Hosts, v.SharedHosts) {
			check(v.ID+" host "+h, v.Evidence["hosts"][h])
		}
		for _, u := range v.URLPatterns {
			check(v.ID+" url "+u.Host+u.Path, v.Evidence["urls"][u.Host+u.Path])
		}
	}
	if unverified == 0 || verified == 0 {
		t.Errorf("%d facts unverified, %d verified: the mark got lost", unverified, verified)
	}
}

// TestReference compares with the reference the catalog was made from, where
// that is at hand.
func TestReference(t *testing.T) {
	raw, err := os.ReadFile("../../../shared/reference/vendor-catalogue.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the reference is not at hand")
	}
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		Vendors   []Vendor `json:"vendors"`
		Essential []Cookie `json:"essential_cookies"`
	}
	if err := json.Unmarshal(raw, &ref); err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t)
	if len(ref.Vendors) != len(c.Vendors) || len(ref.Essential) != len(c.Essential) {
		t.Fatalf("%d vendors and %d essential cookies in the reference", len(ref.Vendors), len(ref.Essential))
	}
	for i := range ref.Essential {
		if a, b := plainCookie(ref.Essential[i]), plainCookie(c.Essential[i]); !reflect.DeepEqual(a, b) {
			t.Errorf("essential: %+v, reference %+v", b, a)
		}
	}
	for i := range ref.Vendors {
		if a, b := plainVendor(ref.Vendors[i]), plainVendor(c.Vendors[i]); !reflect.DeepEqual(a, b) {
			t.Errorf("%s differs from the reference:\n%+v\n%+v", b.ID, b, a)
		}
	}
}

// plainVendor brings both sides into one form: the reference names policy
// texts by file, and writes empty lists where we write none.
func plainVendor(v Vendor) Vendor {
	cookies, storage := v.Cookies, v.Storage
	v.Cookies, v.Storage, v.Additions = nil, nil, Additions{}
	for _, k := range cookies {
		v.Cookies = append(v.Cookies, plainCookie(k))
	}
	for _, k := range storage {
		k.Source = plainSources(k.Source)
		v.Storage = append(v.Storage, k)
	}
	v.Hosts = append([]string(nil), v.Hosts...)
	v.SharedHosts = append([]string(nil), v.SharedHosts...)
	v.URLPatterns = append([]URLPattern(nil), v.URLPatterns...)
	v.NoscriptPatterns = append([]URLPattern(nil), v.NoscriptPatterns...)
	v.BeaconEndpoints = append([]URLPattern(nil), v.BeaconEndpoints...)
	v.Source = plainSources(v.Source)
	v.Evidence = maps.Clone(v.Evidence)
	for kind, facts := range v.Evidence {
		facts = maps.Clone(facts)
		for k, s := range facts {
			facts[k] = plainSources(s)
		}
		v.Evidence[kind] = facts
	}
	return v
}

func plainCookie(k Cookie) Cookie {
	k.Source = plainSources(k.Source)
	k.Purpose = strings.NewReplacer("(named in a seed)", "(named in a published policy)").Replace(k.Purpose)
	return k
}

func plainSources(list []string) []string {
	var out []string
	for _, s := range list {
		if strings.HasPrefix(s, "seed: ") {
			s = "published policy of a site (text)"
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
