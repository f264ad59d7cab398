package rewriter

import (
	"net/http"
	"slices"
	"strings"
)

// variantMark stands between the origin's opaque tag and the variant in an
// entity tag of ours: "abc" is sent as "abc~cgVARIANT".
const variantMark = "~cg"

// VariantETag makes the validators of a response name the variant of its body:
// every entity tag, strong or weak, gets the variant as a suffix inside the
// quotes (RFC 9110, section 8.8.3), and Last-Modified, which cannot carry one,
// goes. A tag that is none is removed. Call it for every body that may differ
// by consent, changed or not; variant is [a-z0-9]+ and changes with the policy,
// the state and the rewriter.
func VariantETag(h http.Header, variant string) {
	delete(h, "Last-Modified")
	filterHeaderLines(h, "ETag", func(line string) string {
		weak, opaque, ok := cutETag(headerTrim(line))
		if !ok {
			return ""
		}
		return weak + `"` + opaque + variantMark + variant + `"`
	})
}

// cutETag splits an entity tag into "W/" or nothing and the text between the
// quotes.
func cutETag(tag string) (weak, opaque string, ok bool) {
	rest, isWeak := strings.CutPrefix(tag, "W/")
	if isWeak {
		weak = "W/"
	}
	if len(rest) < 2 || rest[0] != '"' || rest[len(rest)-1] != '"' {
		return "", "", false
	}
	opaque = rest[1 : len(rest)-1]
	for i := 0; i < len(opaque); i++ {
		if c := opaque[i]; c <= ' ' || c == '"' || c == 0x7f {
			return "", "", false
		}
	}
	return weak, opaque, true
}

// cutVariant splits the opaque part of a tag of ours. ok is false for other
// tags. Only the last mark counts: the origin may be such a gateway itself.
func cutVariant(opaque string) (origin, variant string, ok bool) {
	i := strings.LastIndex(opaque, variantMark)
	if i < 0 {
		return "", "", false
	}
	variant = opaque[i+len(variantMark):]
	for j := 0; j < len(variant); j++ {
		if c := variant[j]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "", "", false
		}
	}
	return opaque[:i], variant, variant != ""
}

// A Revalidation remembers how a request's entity tags were translated for the
// origin, so that the answer can be translated back.
type Revalidation struct {
	tags []string // opaque parts, without suffix, that had the current variant's
	html bool
}

// OriginETags translates the validators of a request for the origin, which
// knows nothing of variants (RFC 9110, section 13.1). variant is that of the
// requesting state; html says whether the answer may be HTML ([MayBeHTML]).
//
// If-None-Match: a tag of the current variant loses its suffix; a tag of
// another variant is removed, or a 304 would revive a page that was made under
// another consent. "*" stays. A tag without a suffix stays for a subresource,
// whose tags we never touch; where the answer may be HTML it is removed, as it
// names a body from before the gateway. For the same reason If-Modified-Since is
// removed where the answer may be HTML.
//
// If-Match protects the origin's resource against lost updates, whatever the
// consent, so tags of all variants lose the suffix and none is removed.
//
// If-Range with a tag of ours is removed together with Range: a part of a
// rewritten page cannot be had from the origin.
//
// Lines without anything of ours keep their bytes.
func OriginETags(h http.Header, variant string, html bool) Revalidation {
	v := Revalidation{html: html}
	filterETagLists(h, "If-None-Match", func(tag string) string {
		if tag == "*" {
			return tag
		}
		weak, opaque, ok := cutETag(tag)
		if !ok {
			return keepUnless(html, tag)
		}
		origin, of, ours := cutVariant(opaque)
		switch {
		case !ours:
			return keepUnless(html, tag)
		case of != variant:
			return ""
		}
		v.tags = append(v.tags, origin)
		return weak + `"` + origin + `"`
	})
	filterETagLists(h, "If-Match", func(tag string) string {
		if weak, opaque, ok := cutETag(tag); ok {
			if origin, _, ours := cutVariant(opaque); ours {
				return weak + `"` + origin + `"`
			}
		}
		return tag
	})
	if html {
		delete(h, "If-Modified-Since")
	}
	if _, opaque, ok := cutETag(headerTrim(h.Get("If-Range"))); ok {
		if _, _, ours := cutVariant(opaque); ours {
			StripRange(h)
		}
	}
	return v
}

func keepUnless(drop bool, tag string) string {
	if drop {
		return ""
	}
	return tag
}

// filterETagLists replaces each tag of the field's comma-separated lists by
// what change returns, or removes it if that is empty. A tag cannot hold a
// quote, so quotes pair up; a backslash escapes nothing in it.
func filterETagLists(h http.Header, field string, change func(tag string) string) {
	filterHeaderLines(h, field, func(line string) string {
		var out []string
		changed := false
		for rest := line; rest != ""; {
			var tag string
			tag, rest = cutTagMember(rest)
			if tag = headerTrim(tag); tag == "" {
				continue
			}
			kept := change(tag)
			changed = changed || kept != tag
			if kept != "" {
				out = append(out, kept)
			}
		}
		if !changed {
			return line
		}
		return strings.Join(out, ", ")
	})
}

// cutTagMember cuts list at the first comma outside quotes.
func cutTagMember(list string) (member, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch {
		case list[i] == '"':
			quoted = !quoted
		case list[i] == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	return list, ""
}

// NotModified translates the validators of the origin's 304 back and reports
// whether the 304 revalidates a body of the given variant, which is a page whose
// stored headers must be those of the requesting state. Otherwise it is a
// subresource and h is left alone.
func (v Revalidation) NotModified(h http.Header, variant string) bool {
	ours := v.html
	for _, line := range h["Etag"] {
		if _, opaque, ok := cutETag(headerTrim(line)); ok && slices.Contains(v.tags, opaque) {
			ours = true
		}
	}
	if ours {
		VariantETag(h, variant)
	}
	return ours
}

// StripRange makes a request ask for the whole resource. A part of a page
// cannot be judged.
func StripRange(h http.Header) {
	delete(h, "Range")
	delete(h, "If-Range")
}

// digestFields vouch for the bytes of a body or offer parts of them: RFC 9530,
// its predecessor RFC 3230, RFC 1864, RFC 9421 (whose signatures usually cover a
// digest), RFC 9110 section 14.3, and RFC 9842, by which the body would become a
// dictionary that only the client has.
var digestFields = [...]string{
	"Content-MD5", "Digest", "Repr-Digest", "Content-Digest", "Unencoded-Digest",
	"Signature", "Signature-Input", "Accept-Ranges", "Use-As-Dictionary",
}

// DropDigests removes what a changed body would make a lie, from the headers,
// from trailers, and from the announcement of trailers. Call it at the final
// header and once more when trailers have been set.
func DropDigests(h http.Header) {
	for _, field := range digestFields {
		eachHeaderKey(h, field, func(key string) { delete(h, key) })
	}
	filterHeaderLines(h, "Trailer", func(line string) string {
		return keepHeaderMembers(line, ',', false, func(member string, _ bool) bool {
			return !slices.ContainsFunc(digestFields[:], func(f string) bool { return headerFold(f, member) })
		})
	})
}
