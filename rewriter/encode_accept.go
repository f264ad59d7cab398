package rewriter

import (
	"slices"
	"strings"
)

// The codings a rewritten page is sent in, in the order of preference. By the figures
// of docs/encodings.md zstd takes little more than half the time of gzip, for pages of
// the same size. br makes large pages smaller still, and takes half as long again and the
// most memory: only who sent br so far gets it. "deflate" is never applied, its name
// stands for two formats.
var (
	codingsApplied = [...]string{"zstd", "gzip", "br"}
	codingsAfterBr = [...]string{"br", "zstd", "gzip"}
)

// AcceptedCoding returns the content coding a rewritten page is sent in, "" for
// none. The lines are the request's Accept-Encoding fields (RFC 9110, section
// 12.5.3); site are the codings the site's answer had, as [Codings] returns them.
// A page the site sent as it is stays so: it may have its reasons.
//
// The coding the client weighs highest is taken. Among equals br comes first if
// the site had sent it, so that the page does not become larger than it was.
// Where nothing but "*" speaks for a coding, only gzip and the site's own are
// taken: clients that send it mean what everybody knows. A coding with a weight
// that cannot be read is not taken, nor is one that another member refuses.
func AcceptedCoding(lines, site []string) string {
	if len(site) == 0 {
		return ""
	}
	a := weigh(lines)
	order := codingsApplied
	if slices.Contains(site, "br") {
		order = codingsAfterBr
	}
	best, weight := "", max(1, a.of("identity", false))
	for _, coding := range order {
		common := coding == "gzip" || slices.Contains(site, coding)
		if w := a.of(coding, common); w > weight || w == weight && best == "" {
			best, weight = coding, w
		}
	}
	return best
}

// KeptCoding is AcceptedCoding for pages that caches in front may keep for
// everybody. Such a cache may tell its copies apart by the codings the site is
// known to send, rather than by all that clients accept, so that the site's own is
// taken wherever it can be.
func KeptCoding(lines, site []string) string {
	best := AcceptedCoding(lines, site)
	if best != "" && len(site) == 1 && slices.Contains(codingsApplied[:], site[0]) && weigh(lines).of(site[0], true) > 0 {
		return site[0]
	}
	return best
}

// acceptedWeights are the weights of an Accept-Encoding field, in thousandths.
type acceptedWeights []acceptedWeight

type acceptedWeight struct {
	coding string
	weight int
}

// weigh reads all lines of the field.
func weigh(lines []string) acceptedWeights {
	a := make(acceptedWeights, 0, 5)
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			a.add(headerTrim(member))
		}
	}
	return a
}

// of returns the weight of a coding, 0 if it is not accepted; common says
// whether "*" counts.
func (a acceptedWeights) of(coding string, common bool) int {
	star := 0
	for _, w := range a {
		switch w.coding {
		case coding:
			return w.weight
		case "*":
			star = w.weight
		}
	}
	if common {
		return star
	}
	return 0
}

// add takes one member of the list. Of several for one coding the lowest counts.
func (a *acceptedWeights) add(member string) {
	coding, parameter, weighed := strings.Cut(member, ";")
	coding = strings.ToLower(headerTrim(coding))
	switch coding {
	case "x-gzip":
		coding = "gzip"
	case "gzip", "br", "zstd", "identity", "*":
	default:
		return // which bounds the list
	}
	weight := 1000
	if weighed {
		weight = acceptWeight(headerTrim(parameter))
	}
	for i := range *a {
		if w := &(*a)[i]; w.coding == coding {
			w.weight = min(w.weight, weight)
			return
		}
	}
	*a = append(*a, acceptedWeight{coding, weight})
}

// acceptWeight returns the thousandths of a weight (RFC 9110, section 12.4.2), 0
// for what is none.
func acceptWeight(s string) int {
	if len(s) < 3 || s[0]|0x20 != 'q' || s[1] != '=' {
		return 0
	}
	whole, fraction, _ := strings.Cut(s[2:], ".")
	if whole != "0" && whole != "1" || len(fraction) > 3 {
		return 0
	}
	weight := int(whole[0]-'0') * 1000
	for i, unit := 0, 100; i < len(fraction); i, unit = i+1, unit/10 {
		c := fraction[i]
		if c < '0' || c > '9' {
			return 0
		}
		weight += int(c-'0') * unit
	}
	if weight > 1000 {
		return 0
	}
	return weight
}
