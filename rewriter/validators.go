package rewriter

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Between the origin's opaque tag and the variant stands, in an entity tag of
// ours, one of these marks: "abc" is sent as "abc~cgVARIANT".
const (
	markPlain   = "~cg" // the origin's own tag
	markRecoded = "~ce" // the origin's strong tag, of a body that is sent in a coding of ours
	markDate    = "~cl" // no tag of the origin, but its Last-Modified, in seconds to the base of 36
)

const markSize = len(markPlain)

// VariantETag makes the validators of a response name the variant of its body:
// every entity tag, strong or weak, gets the variant as a suffix inside the
// quotes (RFC 9110, section 8.8.3). Last-Modified cannot carry one and goes; if
// there is no tag, it becomes a weak one, by which the page can still be
// revalidated. A tag that is none is removed. Call it for every body that may
// differ by consent, changed or not; variant is [a-z0-9]+ and changes with the
// policy, the state and the rewriter.
//
// recoded says that the body's content coding was undone or replaced. Its bytes
// then depend on how it was compressed, so that strong tags become weak.
func VariantETag(h http.Header, variant string, recoded bool) {
	modified := h["Last-Modified"]
	delete(h, "Last-Modified")
	filterHeaderLines(h, "ETag", func(line string) string {
		weak, opaque, ok := cutETag(headerTrim(line))
		switch {
		case !ok:
			return ""
		case recoded && weak == "":
			return `W/"` + opaque + markRecoded + variant + `"`
		}
		return weak + `"` + opaque + markPlain + variant + `"`
	})
	if len(h["Etag"]) > 0 || len(modified) != 1 {
		return
	}
	if at, err := http.ParseTime(modified[0]); err == nil {
		h["Etag"] = []string{dateTag(at) + markDate + variant + `"`}
	}
}

// WeakenETag makes strong entity tags weak: for a body that is no page, but whose
// content coding was undone or replaced.
func WeakenETag(h http.Header) {
	filterHeaderLines(h, "ETag", func(line string) string {
		if headerTrim(line) == line && strings.HasPrefix(line, `"`) {
			return "W/" + line
		}
		return line
	})
}

// dateTag returns the beginning of a tag made from a date.
func dateTag(at time.Time) string { return `W/"` + strconv.FormatInt(at.Unix(), 36) }

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
func cutVariant(opaque string) (origin, mark, variant string, ok bool) {
	i := strings.LastIndexByte(opaque, '~')
	if i < 0 || len(opaque) <= i+markSize {
		return "", "", "", false
	}
	mark, variant = opaque[i:i+markSize], opaque[i+markSize:]
	switch mark {
	case markPlain, markRecoded, markDate:
	default:
		return "", "", "", false
	}
	for j := 0; j < len(variant); j++ {
		if c := variant[j]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "", "", "", false
		}
	}
	return opaque[:i], mark, variant, true
}

// A Revalidation remembers how a request's validators were translated for the
// origin, so that the answer can be translated back.
type Revalidation struct {
	tags    []string // opaque parts, without suffix, of tags that had the current variant's
	recoded []string // those among them that were made weak
	weak    []string // those among them that were weak
	date    string   // a tag made from a date, which went on as If-Modified-Since
	html    bool
}

// Conditional reports whether a request has fields that OriginETags looks at.
func Conditional(h http.Header) bool { return conditionFields.in(h) }

// OriginETags translates the validators of a request for the origin, which
// knows nothing of variants (RFC 9110, section 13.1). variant is that of the
// requesting state; html says whether the answer may be HTML ([MayBeHTML]).
//
// If-None-Match: a tag of the current variant loses its suffix; a tag of
// another variant is removed, or a 304 would revive a page that was made under
// another consent. "*" stays. A tag without a suffix stays for a subresource,
// whose tags we never touch; where the answer may be HTML it is removed, as it
// names a body from before the gateway. For the same reason If-Modified-Since is
// removed where the answer may be HTML, but a tag made from a date becomes one
// again if no other tag is left.
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
	if !conditionFields.in(h) {
		return v
	}
	var since time.Time
	filterETagLists(h, "If-None-Match", func(tag string) string {
		if tag == "*" {
			return tag
		}
		weak, opaque, ok := cutETag(tag)
		if !ok {
			return keepUnless(html, tag)
		}
		origin, mark, of, ours := cutVariant(opaque)
		switch {
		case !ours:
			return keepUnless(html, tag)
		case of != variant:
			return ""
		case mark == markDate:
			if seconds, err := strconv.ParseInt(origin, 36, 64); err == nil {
				since, v.date = time.Unix(seconds, 0), tag
			}
			return ""
		case mark == markRecoded:
			v.recoded = append(v.recoded, origin)
			weak = ""
		}
		if weak != "" {
			v.weak = append(v.weak, origin)
		}
		v.tags = append(v.tags, origin)
		return weak + `"` + origin + `"`
	})
	filterETagLists(h, "If-Match", func(tag string) string {
		if weak, opaque, ok := cutETag(tag); ok {
			if origin, mark, _, ours := cutVariant(opaque); ours && mark != markDate {
				if mark == markRecoded {
					weak = ""
				}
				return weak + `"` + origin + `"`
			}
		}
		return tag
	})
	if html {
		delete(h, "If-Modified-Since")
	}
	if v.date != "" {
		if len(h["If-None-Match"]) == 0 {
			h["If-Modified-Since"] = []string{since.UTC().Format(http.TimeFormat)}
		} else {
			v.date = ""
		}
	}
	if _, opaque, ok := cutETag(headerTrim(h.Get("If-Range"))); ok {
		if _, _, _, ours := cutVariant(opaque); ours {
			StripRange(h)
		}
	}
	return v
}

var conditionFields = newHeaderNames("If-None-Match", "If-Match", "If-Modified-Since", "If-Range")

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
	ours, recoded := v.html || v.date != "" || len(h["Etag"]) == 0 && len(v.tags) > 0, false
	for _, line := range h["Etag"] {
		weak, opaque, ok := cutETag(headerTrim(line))
		if !ok || !slices.Contains(v.tags, opaque) {
			continue
		}
		ours = true
		// A cache below may weaken the tag, as Varnish does when it undoes gzip;
		// the client is to recognize its own.
		if slices.Contains(v.recoded, opaque) && (weak == "" || !slices.Contains(v.weak, opaque)) {
			recoded = true
			h["Etag"] = []string{`"` + opaque + `"`}
		}
	}
	if !ours {
		return false
	}
	if len(h["Etag"]) == 0 && v.date != "" {
		delete(h, "Last-Modified")
		h["Etag"] = []string{v.date}
		return true
	}
	VariantETag(h, variant, recoded)
	return true
}

// Recoded reports whether a 304 that NotModified translated is about a body in a
// coding of ours.
func (v Revalidation) Recoded(h http.Header) bool {
	return len(v.recoded) > 0 && len(h["Etag"]) > 0 && strings.Contains(h["Etag"][0], markRecoded)
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
