package rewriter

import "testing"

func TestAcceptedCoding(t *testing.T) {
	const chrome, safari, plain = "gzip, deflate, br, zstd", "gzip, deflate, br", "gzip, deflate"
	gzip, br, zstd := []string{"gzip"}, []string{"br"}, []string{"zstd"}
	for _, c := range []struct {
		name  string
		lines []string
		site  []string
		want  string
	}{
		// What browsers send.
		{"all of them", []string{chrome}, gzip, "zstd"},
		{"the site's br", []string{chrome}, br, "br"},
		{"the site's zstd", []string{chrome}, zstd, "zstd"},
		{"no zstd", []string{safari}, gzip, "gzip"},
		{"no zstd, the site's br", []string{safari}, br, "br"},
		{"no zstd, the site's zstd", []string{safari}, zstd, "gzip"},
		{"br alone", []string{"br"}, gzip, "br"},
		{"over plain HTTP", []string{plain}, gzip, "gzip"},
		{"over plain HTTP, the site's br", []string{plain}, br, "gzip"},
		{"deflate is never chosen", []string{"deflate"}, []string{"deflate"}, ""},
		{"the site's deflate", []string{chrome}, []string{"deflate"}, "zstd"},
		{"the site's stack", []string{chrome}, []string{"gzip", "br"}, "br"},
		{"the site's stack, the other way", []string{chrome}, []string{"br", "gzip"}, "br"},
		{"shared dictionaries", []string{chrome + ", dcb, dcz"}, gzip, "zstd"},

		// The site sent the page as it is.
		{"site did not", []string{chrome}, nil, ""},
		{"site did not, none else accepted", []string{"gzip, identity;q=0"}, nil, ""},

		// Absent and empty fields.
		{"no field", nil, gzip, ""},
		{"empty field", []string{""}, gzip, ""},
		{"empty members", []string{", ,\t,"}, gzip, ""},
		{"empty members between", []string{",gzip,,"}, br, "gzip"},
		{"identity alone", []string{"identity"}, gzip, ""},

		// The examples of RFC 9110, section 12.5.3.
		{"RFC 1", []string{"compress, gzip"}, gzip, "gzip"},
		{"RFC 2", []string{""}, br, ""},
		{"RFC 3, site's gzip", []string{"*"}, gzip, "gzip"},
		{"RFC 4", []string{"compress;q=0.5, gzip;q=1.0"}, gzip, "gzip"},
		{"RFC 5", []string{"gzip;q=1.0, identity; q=0.5, *;q=0"}, br, "gzip"},

		// Weights.
		{"the highest", []string{"zstd;q=0.5, gzip, br;q=0.9"}, br, "gzip"},
		{"by thousandths", []string{"zstd;q=0.998, br;q=0.999"}, gzip, "br"},
		{"0 means no", []string{"zstd;q=0, br;q=0.0, gzip;q=0.000"}, gzip, ""},
		{"the lowest that is yes", []string{"gzip;q=0.001"}, gzip, "gzip"},
		{"1 in four ways", []string{"zstd;q=1, br;q=1.000, gzip;q=1."}, zstd, "zstd"},
		{"identity weighs more", []string{"identity, gzip;q=0.5"}, gzip, ""},
		{"identity weighs less", []string{"identity;q=0.4, gzip;q=0.5"}, gzip, "gzip"},
		{"identity weighs the same", []string{"identity, gzip"}, gzip, "gzip"},
		{"identity refused", []string{"identity;q=0, gzip;q=0.1"}, gzip, "gzip"},
		{"everything refused", []string{"*;q=0"}, gzip, ""},
		{"identity refused, nothing accepted", []string{"identity;q=0"}, gzip, ""},

		// The star.
		{"star means what everybody knows", []string{"*"}, []string{"deflate"}, "gzip"},
		{"star and the site's", []string{"*"}, zstd, "zstd"},
		{"star and the site's br", []string{"*"}, br, "br"},
		{"star beside a refusal", []string{"gzip;q=0, *"}, gzip, ""},
		{"star beside a refusal, another of the site", []string{"gzip;q=0, *"}, br, "br"},
		{"star refuses the rest", []string{"br, *;q=0"}, gzip, "br"},
		{"star weighs more", []string{"zstd;q=0.2, *;q=0.7"}, gzip, "gzip"},
		{"star is not identity's", []string{"*;q=0.5, gzip;q=0.4"}, gzip, "gzip"},

		// Spelling.
		{"case", []string{"GZip;Q=0.5"}, gzip, "gzip"},
		{"x-gzip", []string{"x-gzip"}, gzip, "gzip"},
		{"x-gzip refused", []string{"gzip, x-gzip;q=0"}, gzip, ""},
		{"spaces", []string{" \tgzip ;\tq=0.5 "}, gzip, "gzip"},
		{"several lines", []string{"deflate", "gzip;q=0.5", "br"}, gzip, "br"},
		{"several lines, equal", []string{"deflate", "br", "gzip"}, gzip, "gzip"},
		{"refused on another line", []string{"gzip", "gzip;q=0"}, gzip, ""},
		{"refused on the line before", []string{"x-gzip;q=0", "gzip"}, gzip, ""},
		{"no equals sign", []string{"gzip;q:1"}, gzip, ""},
		{"twice, the lower counts", []string{"gzip, br;q=0.5, gzip;q=0.1"}, gzip, "br"},

		// Members that cannot be read are as good as refused.
		{"weight of two", []string{"gzip;q=2"}, gzip, ""},
		{"weight over one", []string{"gzip;q=1.001"}, gzip, ""},
		{"weight below nothing", []string{"gzip;q=-1"}, gzip, ""},
		{"too many digits", []string{"gzip;q=0.1234"}, gzip, ""},
		{"no number", []string{"gzip;q=high"}, gzip, ""},
		{"no number behind the dot", []string{"gzip;q=0.x"}, gzip, ""},
		{"no whole number", []string{"gzip;q=.5"}, gzip, ""},
		{"empty weight", []string{"gzip;q="}, gzip, ""},
		{"no weight", []string{"gzip;"}, gzip, ""},
		{"space in the weight", []string{"gzip;q = 1"}, gzip, ""},
		{"another parameter", []string{"gzip;level=9"}, gzip, ""},
		{"a second parameter", []string{"gzip;q=1;q=0"}, gzip, ""},
		{"quoted", []string{`"gzip"`}, gzip, ""},
		{"exponent", []string{"gzip;q=1e0"}, gzip, ""},
		{"beside one that can", []string{"zstd;q=x, gzip"}, zstd, "gzip"},
		{"star does not undo it", []string{"gzip;q=x, *"}, gzip, ""},
		{"longer names", []string{"gzips, xgzip, brotli, zst"}, gzip, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := AcceptedCoding(c.lines, c.site); got != c.want {
				t.Errorf("%q, site %q: %q, want %q", c.lines, c.site, got, c.want)
			}
		})
	}
}
