package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/consentgate/consentgate/policy/catalog"
)

// addCatalogVendor drafts a vendor of the catalog.
func (c *compiler) addCatalogVendor(v *catalog.Vendor, order int) {
	d := &draft{Vendor: &Vendor{ID: v.ID, Name: v.Name, Owner: v.Owner, Category: c.covers[v.Category]}, facts: v, order: order}
	d.original = d.Category
	switch v.DefaultAction {
	case "allow":
		if !c.p.fixed.Has(d.Category) {
			d.action = alwaysAllow
		}
	case "operator-choice":
		d.action = c.operator
	}
	d.stub = stubEntry{shape: text{s: v.Stub.Shape, set: true}, global: text{s: v.Stub.Global}, queue: text{s: v.Stub.Queue}}
	for _, m := range v.Stub.Methods {
		d.stub.methods = append(d.stub.methods, text{s: m})
	}
	for _, list := range [][]catalog.URLPattern{v.URLPatterns, v.NoscriptPatterns, v.BeaconEndpoints} {
		for _, u := range list {
			e := patternEntry{host: text{s: u.Host, set: true}, path: text{s: u.Path, set: true}}
			for _, name := range slices.Sorted(maps.Keys(u.Query)) {
				e.query = append(e.query, queryEntry{name, text{s: u.Query[name], set: true}})
			}
			c.draftRule(d, &e, false)
		}
	}
	d.loaders, d.calls = slices.Concat(v.Inline.Loader, v.Additions.Loader), v.Inline.Call
	for i := range v.Cookies {
		if k := &v.Cookies[i]; k.Party == "first" {
			if n, ok := catalogNames(k); ok {
				n.broad = k.Broad
				d.cookies = append(d.cookies, cookieDraft{names: n, category: c.covers[k.Category]})
			} else {
				c.add(position{}, "mend the catalog", "cookie pattern %s of %s", quote(k.Pattern), v.ID)
			}
		}
	}
	c.drafts[v.ID] = d
	c.order = append(c.order, d)
}

// applyVendors lays a file's vendors over what is known so far.
func (c *compiler) applyVendors(f *file, own bool) {
	lines := map[string]int{}
	for i := range f.vendors {
		e := &f.vendors[i]
		if !e.id.set {
			if e.id.missing() {
				c.add(e.at, "give it an id", "a vendor without id")
			}
			continue
		}
		if first := lines[e.id.s]; first > 0 {
			c.add(e.id.at, "merge the two or rename one", "vendor %s stands twice, first in line %d", quote(e.id.s), first)
			continue
		}
		lines[e.id.s] = e.id.at.line
		d := c.drafts[e.id.s]
		if d == nil {
			if d = c.newVendor(e); d == nil {
				continue
			}
		}
		d.named = d.named || own
		c.override(d, e, own)
	}
}

// newVendor drafts a vendor that is the file's own, or returns nil after a fault.
func (c *compiler) newVendor(e *vendorEntry) *draft {
	switch {
	case e.name.missing():
		ids := slices.Sorted(maps.Keys(c.drafts))
		c.add(e.id.at, suggest(e.id.s, ids, "take an id of the catalog, or add a name to make it a vendor of your own"),
			"no vendor %s in the catalog", quote(e.id.s))
		return nil
	case !vendorID.MatchString(e.id.s) || e.id.s == "unclassified":
		c.add(e.id.at, `begin with a letter a-z, go on with a-z, 0-9 and "-", at most 64; "unclassified" is taken`,
			"vendor id %s is not usable", quote(e.id.s))
		return nil
	case e.category.missing() && e.action.missing():
		c.add(e.at, "add the category whose consent it needs", "vendor %s has no category", quote(e.id.s))
		return nil
	case len(e.hosts)+len(e.patterns)+len(e.loaders)+len(e.calls)+len(e.cookies)+len(e.storage) == 0:
		c.add(e.at, "add hosts, url_patterns, inline, cookies or storage", "nothing tells what belongs to vendor %s", quote(e.id.s))
		return nil
	}
	d := &draft{Vendor: &Vendor{ID: e.id.s}, order: len(c.order)}
	d.stub.shape = text{s: shapeNone, set: true}
	if e.category.missing() {
		d.Category = c.last()
	}
	c.drafts[e.id.s] = d
	c.order = append(c.order, d)
	return d
}

// last is the strictest category, the one to take where none is given.
func (c *compiler) last() int { return len(c.p.scheme.Categories) - 1 }

// override lays one entry of a file over a draft.
func (c *compiler) override(d *draft, e *vendorEntry, own bool) {
	if e.name.set {
		d.Name = e.name.s
	}
	if e.owner.set {
		d.Owner = e.owner.s
	}
	if i := c.category(e.category, own); i >= 0 {
		c.moveCategory(d, i)
	}
	if e.action.set {
		d.action = c.action(e.action)
	}
	for _, t := range e.hosts {
		if h, ok := c.host(t, own); ok {
			d.hosts = append(d.hosts, h)
			c.claim(t, h, d.ID)
		}
	}
	for i := range e.patterns {
		c.draftRule(d, &e.patterns[i], own)
	}
	d.loaders = append(slices.Clip(d.loaders), c.signatures(e.loaders)...)
	d.calls = append(slices.Clip(d.calls), c.signatures(e.calls)...)
	if e.stub.at != (position{}) && !e.stub.shape.bad {
		d.stub = e.stub
	}
	for i := range e.cookies {
		c.overrideCookie(d, &e.cookies[i], own)
	}
	c.applyStorage(e.storage, d.ID)
}

// moveCategory gives the vendor another category. Its cookies go with it, but
// for those that the catalog sets apart from the vendor, which stay.
func (c *compiler) moveCategory(d *draft, category int) {
	for i := range d.cookies {
		if d.facts != nil && d.cookies[i].category == d.original {
			d.cookies[i].category = category
		}
	}
	d.Category, d.original = category, category
	// A category of the operator's own is a statement about consent: it also
	// answers the question that operator-choice leaves open.
	d.action = byCategory
}

// claim records that a vendor of a policy file owns a host.
func (c *compiler) claim(t text, host, id string) {
	if other, ok := c.claimed[host]; ok && other != id {
		c.add(t.at, "leave it to one of them, or tell them apart by url_patterns", "host %s belongs to vendor %s already", quote(host), quote(other))
		return
	}
	c.claimed[host] = id
}

// signatures brings inline signatures into the form code is compared in.
func (c *compiler) signatures(list []text) []string {
	var out []string
	for _, t := range list {
		s := strings.ReplaceAll(strings.Join(strings.Fields(t.s), ""), `"`, `'`)
		if len(s) < 6 || !inlineUsable(s) {
			c.add(t.at, "take at least 6 characters that no other code holds, 3 of them in a row neither quotes nor slashes",
				"inline signature %s is not distinct enough", quote(t.s))
			continue
		}
		out = append(out, s)
	}
	return out
}

// addresses derives signatures from the vendor's address patterns: code that
// holds such an address where code would fetch it is a loader, whatever else it
// looks like. Patterns that a query decides are left out, and so are paths too
// short to tell an address by. What visitors asked for, an embedded video or
// form, is often named in plain data and has signatures of its own.
func addresses(d *draft) []string {
	if d.facts != nil && d.facts.DefaultAction != "block" && d.facts.DefaultAction != "consent-mode" {
		return nil
	}
	var out []string
	for i := range d.rules {
		h, r := &d.rules[i].pattern, &d.rules[i].rule
		if h.any || h.label != nil || len(r.query) > 0 || len(r.path.literals) == 0 {
			continue
		}
		path := string(r.path.literals[0])
		if !strings.HasSuffix(path, "/") && !strings.Contains(path, ".") && len(path) < 8 {
			continue
		}
		if s := h.host + path; inlineUsable(s) && !slices.Contains(d.loaders, s) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func (c *compiler) addSignatures(d *draft) {
	for i, list := range [][]string{slices.Concat(d.loaders, addresses(d)), d.calls} {
		for _, s := range list {
			c.inline = append(c.inline, inlineSignature{vendor: d.Vendor, text: s, loader: i == 0})
			c.note("inline", d.ID, s)
		}
	}
}

func (c *compiler) addStub(d *draft) {
	var methods []string
	for _, m := range d.stub.methods {
		methods = append(methods, m.s)
	}
	src, err := stubSource(d.stub.shape.s, d.stub.global.s, d.stub.queue.s, methods)
	if err != nil {
		c.add(d.stub.at, "shape is one of "+strings.Join(stubShapes, ", ")+"; global, queue and methods are JavaScript names",
			"the stub of vendor %s %s", quote(d.ID), err)
	}
	d.Stub = src
	if d.facts == nil || d.stub.at != (position{}) {
		return // a policy file's stub takes the place of all
	}
	for _, s := range d.facts.Additions.Stubs {
		src, err := stubSource(s.Shape, s.Global, s.Queue, s.Methods)
		if err != nil {
			c.add(position{}, "mend the catalog", "a further stub of vendor %s %s", quote(d.ID), err)
		}
		d.Stub += src
	}
}
