package policy

import "github.com/goccy/go-yaml/ast"

// A file is a policy file as a person wrote it, before anything is resolved.
// What a key means to its reader stands in policy.schema.json.
type file struct {
	faults *faults // what is wrong with it

	version        text
	unknown        text // allow or block
	operatorChoice text // block or allow
	siteHosts      []text
	categories     []categoryEntry
	vendors        []vendorEntry
	cookies        []cookieEntry
	storage        []storageEntry
}

type categoryEntry struct {
	at                    position
	id, name, description text
	fixed                 bool
	deniedBy              []text // gpc, dnt
	covers                []text // categories of the catalog that belong here; by default the one of the same id
}

type vendorEntry struct {
	at          position
	id          text
	name, owner text
	category    text
	action      text // consent, allow or block
	hosts       []text
	patterns    []patternEntry
	loaders     []text
	calls       []text
	stub        stubEntry
	cookies     []cookieEntry
	storage     []storageEntry
}

type patternEntry struct {
	at         position
	host, path text
	query      []queryEntry
}

type queryEntry struct {
	name    string
	pattern text
}

type stubEntry struct {
	at                   position
	shape, global, queue text
	methods              []text
}

type cookieEntry struct {
	at            position
	name, pattern text // one of the two; a "*" at the end of name stands for any rest
	category      text
	action        text // consent, allow or block
	essential     bool
}

type storageEntry struct {
	at           position
	key, pattern text // as in cookieEntry
	store        text // localStorage, sessionStorage or indexedDB
	category     text
}

func fileFields(f *file) []field {
	return []field{
		textField("version", &f.version),
		textField("unknown", &f.unknown),
		textField("operator_choice", &f.operatorChoice),
		mappingField("site", func(position) []field { return siteFields(f) }),
		listField("categories", "a category", &f.categories, categoryFields),
		listField("vendors", "a vendor", &f.vendors, vendorFields),
		listField("cookies", "a cookie", &f.cookies, cookieFields),
		listField("storage", "a storage key", &f.storage, storageFields),
	}
}

func siteFields(f *file) []field { return []field{textsField("hosts", &f.siteHosts)} }

func categoryFields(c *categoryEntry, at position) []field {
	c.at = at
	return []field{
		textField("id", &c.id),
		textField("name", &c.name),
		textField("description", &c.description),
		boolField("fixed", &c.fixed),
		textsField("denied_by", &c.deniedBy),
		textsField("covers", &c.covers),
	}
}

func vendorFields(v *vendorEntry, at position) []field {
	v.at = at
	return []field{
		textField("id", &v.id),
		textField("name", &v.name),
		textField("owner", &v.owner),
		textField("category", &v.category),
		textField("action", &v.action),
		textsField("hosts", &v.hosts),
		listField("url_patterns", "an address pattern", &v.patterns, patternFields),
		mappingField("inline", func(position) []field { return inlineFields(v) }),
		mappingField("stub", func(at position) []field { return stubFields(&v.stub, at) }),
		listField("cookies", "a cookie", &v.cookies, cookieFields),
		listField("storage", "a storage key", &v.storage, storageFields),
	}
}

func patternFields(p *patternEntry, at position) []field {
	p.at = at
	return []field{
		textField("host", &p.host),
		textField("path", &p.path),
		{"query", func(r *reader, n ast.Node) { p.query = r.query(n) }},
	}
}

func inlineFields(v *vendorEntry) []field {
	return []field{textsField("loader", &v.loaders), textsField("call", &v.calls)}
}

func stubFields(s *stubEntry, at position) []field {
	s.at = at
	return []field{
		textField("shape", &s.shape),
		textField("global", &s.global),
		textField("queue", &s.queue),
		textsField("methods", &s.methods),
	}
}

func cookieFields(c *cookieEntry, at position) []field {
	c.at = at
	return []field{
		textField("name", &c.name),
		textField("pattern", &c.pattern),
		textField("category", &c.category),
		textField("action", &c.action),
		boolField("essential", &c.essential),
	}
}

func storageFields(s *storageEntry, at position) []field {
	s.at = at
	return []field{
		textField("key", &s.key),
		textField("pattern", &s.pattern),
		textField("store", &s.store),
		textField("category", &s.category),
	}
}

// query reads a mapping from parameter to pattern, whose keys are free.
func (r *reader) query(n ast.Node) []queryEntry {
	m, ok := n.(ast.MapNode)
	if !ok {
		r.add(nodeAt(n), `write "parameter: pattern" lines`, "query must be a mapping, not %s", kindOf(n))
		return nil
	}
	var q []queryEntry
	for it := m.MapRange(); it.Next(); {
		name, ok := scalar(it.Key())
		if !ok || name == "" {
			r.add(tokenAt(it.Key().GetToken()), "write the parameter's name", "query has a key that is not a parameter name")
			continue
		}
		if p, ok := r.text(it.Value(), "the pattern of query parameter "+quote(name)); ok {
			q = append(q, queryEntry{name, p})
		}
	}
	return q
}
