// Package catalog holds the embedded facts about vendors that marketing sites
// use: their hosts, address patterns, inline code, cookies and storage keys, and
// the cookies that no gateway may ever withhold. Every fact names its sources;
// see SOURCE.md. Facts only: what is done with them is package policy's part.
package catalog

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// Unverified is the source of a fact that stands in no independent source at
// hand. Such a fact should be checked before it decides anything on its own.
const Unverified = "vendor documentation (unverified)"

// A Catalog is everything that is embedded. It is shared: do not change it.
type Catalog struct {
	Vendors   []Vendor // most used first
	Essential []Cookie // never to be withheld, whoever sets them
}

// A Vendor is one product of one company.
type Vendor struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	Owner         string `json:"owner"` // company; several vendors may share one
	Kind          string `json:"kind"`  // sort of product, for people
	Category      string `json:"category"`
	DefaultAction string `json:"default_action"` // one of Actions

	// Hosts belong to this vendor alone, with everything below them.
	Hosts []string `json:"hosts"`
	// SharedHosts serve several products of the owner: the path decides.
	SharedHosts []string `json:"shared_hosts"`

	URLPatterns      []URLPattern `json:"url_patterns"`
	NoscriptPatterns []URLPattern `json:"noscript_patterns"` // of pixels inside noscript
	BeaconEndpoints  []URLPattern `json:"beacon_endpoints"`

	Inline    Signatures   `json:"inline_signatures"`
	Stub      Stub         `json:"stub"`
	Additions Additions    `json:"additions"`
	Cookies   []Cookie     `json:"cookies"`
	Storage   []StorageKey `json:"storage"`

	// Evidence names the sources of single facts: first key "hosts", "urls" or
	// "globals", second the fact itself.
	Evidence map[string]map[string][]string `json:"evidence"`
	Source   []string                       `json:"source"`
}

// A URLPattern matches addresses. Host is exact, "*.suffix" for the suffix and
// everything below it, "*" for any host including the site's own; a "*" inside
// the first label stands for any run of characters of that label. Path is a
// prefix in which "*" stands for any run of characters; a path with brackets is
// RE2. Query values are RE2, tested against the named parameter.
type URLPattern struct {
	Host  string            `json:"host"`
	Path  string            `json:"path"`
	Query map[string]string `json:"query"`
}

// Signatures are pieces of inline code, without white space and with double
// quotes turned into single ones.
type Signatures struct {
	Loader []string `json:"loader"` // the code fetches the vendor
	Call   []string `json:"call"`   // the code only uses the vendor's global
}

// Additions are facts this project found on real pages, beyond the sources the
// catalog was compiled from.
type Additions struct {
	Loader []string `json:"loader"` // further inline signatures of code that fetches the vendor
	Stubs  []Stub   `json:"stubs"`  // further globals
}

// A Stub says how page code reaches the vendor, so that a harmless stand-in can
// be written. Shape is one of Shapes.
type Stub struct {
	Shape   string   `json:"shape"`
	Global  string   `json:"global"`
	Queue   string   `json:"queue"`   // queue-function: global array the calls are pushed to, if not the function's own
	Methods []string `json:"methods"` // object-noop
}

// A Cookie is a cookie's name, or how such names begin.
type Cookie struct {
	Name     string   `json:"name"`
	Match    string   `json:"match"`    // "exact", "prefix" or "regex"
	Pattern  string   `json:"pattern"`  // RE2 of the same meaning
	Party    string   `json:"party"`    // "first": on the site's own domain; "third": on the vendor's; "" in Essential
	Category string   `json:"category"` // may differ from the vendor's; "" in Essential
	Broad    bool     `json:"broad"`    // too short a name to match unless the vendor is known to be on the site
	Group    string   `json:"group"`    // Essential only: why the site needs it
	Purpose  string   `json:"purpose"`
	Source   []string `json:"source"` // vouches for name and vendor
}

// A StorageKey is a key of the browser's storage.
type StorageKey struct {
	Store   string   `json:"store"` // "localStorage", "sessionStorage" or "indexedDB"
	Key     string   `json:"key"`
	Match   string   `json:"match"`   // as Cookie.Match
	Pattern string   `json:"pattern"` // as Cookie.Pattern
	Origin  string   `json:"origin"`  // "first" or "third"
	Purpose string   `json:"purpose"`
	Source  []string `json:"source"`
}

// The closed sets of words the catalog uses.
var (
	Categories = [...]string{"necessary", "functional", "analytics", "marketing"}
	Actions    = [...]string{"block", "placeholder", "consent-mode", "conditional", "operator-choice", "allow"}
	Shapes     = [...]string{"queue-function", "array", "object-noop", "none"}
)

//go:embed vendors.json
var vendorsJSON []byte

//go:embed essential.json
var essentialJSON []byte

//go:embed presets/default.yaml
var defaultPolicy string

var load = sync.OnceValues(func() (*Catalog, error) {
	var c Catalog
	if err := json.Unmarshal(vendorsJSON, &c.Vendors); err != nil {
		return nil, fmt.Errorf("decoding embedded vendors.json: %w", err)
	}
	if err := json.Unmarshal(essentialJSON, &c.Essential); err != nil {
		return nil, fmt.Errorf("decoding embedded essential.json: %w", err)
	}
	return &c, nil
})

// Load returns the embedded catalog, decoded once.
func Load() (*Catalog, error) { return load() }

// DefaultPolicy is the built-in policy file (YAML) that every other policy file
// is laid over.
func DefaultPolicy() string { return defaultPolicy }

// IsUnverified reports whether sources hold nothing but [Unverified].
func IsUnverified(sources []string) bool {
	return !slices.ContainsFunc(sources, func(s string) bool { return s != Unverified })
}
