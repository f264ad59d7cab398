package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy/catalog"
)

// A Policy is a compiled policy: the embedded catalog with a policy file laid
// over it. It is immutable and safe for concurrent use.
type Policy struct {
	scheme  consent.Scheme
	hash    string
	vendors []*Vendor
	unknown Action // of what no rule names
	index   hostIndex
	inline  *inlineMatcher
	cookies [3]*nameIndex // the policy file's own rules, essential cookies, vendors' cookies

	fixed   consent.Set
	watched consent.Set // categories that some resource or cookie waits for
	closed  bool        // something is blocked whatever the visitor grants
}

// A Vendor is a company's product that resources and cookies belong to.
type Vendor struct {
	ID       string // unique within a policy; a label of metrics
	Name     string // shown to visitors
	Owner    string // company; "" if not known
	Category int    // position in the scheme's categories
	// Stub is the source of a JavaScript statement that gives page code a
	// harmless stand-in for the vendor's global, "" if none is needed or safe. It
	// leaves a global that is already there alone and holds no "<".
	Stub string

	action ruleAction
	rank   int // how hard it is to be allowed: 0 always, then by category, then never
}

var builtIn = sync.OnceValue(func() *Policy {
	p, err := parse("", nil)
	if err != nil {
		// The embedded data does not compile, which a test rules out. Blocking
		// everything is what is left when nothing is known.
		return &Policy{index: hostIndex{hosts: map[string]*hostEntry{}}, unknown: Block, closed: true,
			cookies: [3]*nameIndex{newNameIndex(), newNameIndex(), newNameIndex()}, inline: compileInline(nil)}
	}
	return p
})

// Default returns the built-in policy: the categories necessary, functional,
// analytics and marketing, and the vendors of the embedded catalog.
func Default() *Policy { return builtIn() }

// Load compiles the policy file at path. Its errors are those of [Parse]; an
// unreadable file is one fault like any other and wraps the cause.
func Load(path string) (*Policy, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, &fault{file: path, what: "cannot be read: " + reason(err), err: err,
			fix: "check the path and that the gateway's user may read it"}
	}
	return Parse(path, data)
}

// readFile reads a little more than the largest file allowed, so that Parse can
// tell that it is too large.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, maxFileSize+1))
}

// reason is the operating system's word on why, without the path.
func reason(err error) string {
	var e *os.PathError
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}

// Parse compiles a policy file. What the file leaves out is taken from the
// built-in policy, so that an empty file means [Default]. The error joins one
// error a fault, in the order of the file; each is one line,
// "file:line:col: what is wrong: how to mend it".
func Parse(filename string, data []byte) (*Policy, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return Default(), nil
	}
	return parse(filename, data)
}

func parse(filename string, data []byte) (*Policy, error) {
	cat, err := catalog.Load()
	if err != nil {
		return nil, fmt.Errorf("loading the vendor catalog: %w", err)
	}
	base := readPolicy("built-in policy", []byte(catalog.DefaultPolicy()))
	return compile(cat, base, readPolicy(filename, data))
}

func readPolicy(filename string, data []byte) *file {
	r := &reader{faults{file: filename}}
	f := &file{faults: &r.faults}
	if n := r.parseYAML(data); n != nil {
		r.mapping(n, "the policy", fileFields(f))
	}
	return f
}

// Scheme returns what package consent needs to know of the policy.
func (p *Policy) Scheme() *consent.Scheme { return &p.scheme }

// Version returns the policy's version: choices made under another one no longer count.
func (p *Policy) Version() string { return p.scheme.Version }

// Hash returns 16 hexadecimal digits that change with anything the policy
// decides by, the catalog included.
func (p *Policy) Hash() string { return p.hash }

// Vendors returns all vendors the policy knows, sorted by id. The slice is
// shared: do not change it.
func (p *Policy) Vendors() []*Vendor { return p.vendors }
