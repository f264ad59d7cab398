package main

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"strconv"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// The picture: panels one below the other, over the same time.
const (
	pictureWidth = 1500
	panelHeight  = 400
	left, right  = 110, 40
	top, bottom  = 84, 70
)

var (
	white   = color.RGBA{255, 255, 255, 255}
	black   = color.RGBA{30, 30, 30, 255}
	grid    = color.RGBA{228, 228, 228, 255}
	blue    = color.RGBA{31, 119, 180, 255}
	pale    = color.RGBA{140, 190, 220, 255}
	orange  = color.RGBA{230, 120, 20, 255}
	green   = color.RGBA{44, 140, 60, 255}
	palest  = color.RGBA{150, 205, 155, 255}
	red     = color.RGBA{200, 40, 40, 255}
	reloads = color.RGBA{215, 205, 235, 255}
)

// A curve is one line of a panel.
type curve struct {
	name   string
	color  color.RGBA
	width  float64
	points []point
}

// A panel is one plot.
type panel struct {
	title, unit string
	log         bool
	curves      []curve
	fits        []verdict
}

// writePicture draws the record into a PNG file.
func writePicture(file string, r *record, verdicts []verdict) error {
	raw := func(f func(sample) float64) (points []point) {
		for _, s := range r.samples {
			points = append(points, point{s.minute, f(s)})
		}
		return points
	}
	panels := []panel{
		{title: "Memory of the gateway", unit: "MiB", curves: []curve{
			{"heap", pale, 1, raw(func(s sample) float64 { return s.heap })},
			{"heap, lowest of each window", blue, 3, verdicts[0].points},
			{"resident set", orange, 2, raw(func(s sample) float64 { return s.rss })},
		}, fits: verdicts[:1]},
		{title: "Goroutines of the gateway", unit: "goroutines", curves: []curve{
			{"goroutines", palest, 1, raw(func(s sample) float64 { return s.goroutines })},
			{"lowest of each window", green, 3, verdicts[2].points},
		}, fits: verdicts[2:3]},
		{title: "Latency of ordinary requests, to the last byte", unit: "ms, logarithmic", log: true, curves: []curve{
			{"p99 of each window", orange, 2, verdicts[5].points},
			{"p50 of each window", blue, 2, verdicts[4].points},
		}},
	}
	c, err := newCanvas(pictureWidth, panelHeight*len(panels)+20)
	if err != nil {
		return err
	}
	end := r.samples[len(r.samples)-1].minute
	for i, p := range panels {
		c.panel(&p, float64(i*panelHeight), end, r.reloads)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := png.Encode(f, c.img); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// A canvas is a picture with two fonts.
type canvas struct {
	img         *image.RGBA
	plain, bold font.Face
}

func newCanvas(w, h int) (*canvas, error) {
	c := &canvas{img: image.NewRGBA(image.Rect(0, 0, w, h))}
	draw.Draw(c.img, c.img.Bounds(), image.NewUniform(white), image.Point{}, draw.Src)
	for _, f := range []struct {
		face *font.Face
		data []byte
		size float64
	}{{&c.plain, goregular.TTF, 17}, {&c.bold, gobold.TTF, 20}} {
		parsed, err := opentype.Parse(f.data)
		if err != nil {
			return nil, err
		}
		if *f.face, err = opentype.NewFace(parsed, &opentype.FaceOptions{Size: f.size, DPI: 72, Hinting: font.HintingFull}); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// panel draws one plot, y being where it begins.
func (c *canvas) panel(p *panel, y, end float64, marks []float64) {
	x0, x1 := float64(left), float64(pictureWidth-right)
	y0, y1 := y+panelHeight-bottom, y+top // of the smallest and the largest value
	low, high := p.bounds()
	scale := func(v float64) float64 { return v }
	if p.log {
		scale = math.Log10
	}
	atX := func(minute float64) float64 { return x0 + minute/end*(x1-x0) }
	atY := func(v float64) float64 { return y0 + (scale(v)-scale(low))/(scale(high)-scale(low))*(y1-y0) }

	c.text(c.bold, p.title, x0, y+24, black, 0)
	for _, v := range ticks(0, end, 12) {
		c.line(atX(v), y0, atX(v), y1, 1, grid)
		c.text(c.plain, number(v), atX(v), y0+22, black, 0.5)
	}
	c.text(c.plain, "minutes", x1, y0+46, black, 1)
	values := ticks(low, high, 6)
	if p.log {
		values = decades(low, high)
	}
	for _, v := range values {
		c.line(x0, atY(v), x1, atY(v), 1, grid)
		c.text(c.plain, number(v), x0-10, atY(v)+6, black, 1)
	}
	c.text(c.plain, p.unit, 14, y1-24, black, 0)
	for _, m := range marks {
		c.line(atX(m), y0, atX(m), y1, 1.5, reloads)
	}
	for _, k := range p.curves {
		for i := 1; i < len(k.points); i++ {
			a, b := k.points[i-1], k.points[i]
			c.line(atX(a.minute), atY(a.value), atX(b.minute), atY(b.value), k.width, k.color)
		}
	}
	for _, v := range p.fits {
		c.line(atX(v.from), atY(v.intercept+v.slope*v.from), atX(v.to), atY(v.intercept+v.slope*v.to), 2, red)
	}
	c.line(x0, y0, x1, y0, 1.5, black)
	c.line(x0, y0, x0, y1, 1.5, black)
	c.legend(p, x1, y+24, len(marks) > 0)
}

// legend names the curves, from the right.
func (c *canvas) legend(p *panel, x, y float64, marks bool) {
	list := append([]curve{}, p.curves...)
	for _, v := range p.fits {
		list = append(list, curve{name: fmt.Sprintf("slope %+.2f ± %.2f an hour", 60*v.slope, 60*v.margin), color: red, width: 2})
	}
	if marks {
		list = append(list, curve{name: "reload", color: reloads, width: 3})
	}
	for i := len(list) - 1; i >= 0; i-- {
		x -= c.width(c.plain, list[i].name)
		c.text(c.plain, list[i].name, x, y, black, 0)
		c.line(x-36, y-6, x-8, y-6, max(2.5, list[i].width), list[i].color)
		x -= 60
	}
}

// bounds returns the lowest and highest value of the axis.
func (p *panel) bounds() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, k := range p.curves {
		for _, pt := range k.points {
			low, high = min(low, pt.value), max(high, pt.value)
		}
	}
	if math.IsInf(low, 1) {
		return 1, 2
	}
	if p.log {
		return max(low, 1e-3) / 1.3, max(high, 2e-3) * 1.3
	}
	return 0, 1.08 * max(high, 1)
}

// ticks returns round values between low and high, about n of them.
func ticks(low, high float64, n int) (list []float64) {
	raw := (high - low) / float64(n)
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*step >= raw {
			step *= m
			break
		}
	}
	for v := math.Ceil(low/step) * step; v <= high+step/1e6; v += step {
		list = append(list, v)
	}
	return list
}

// decades returns 1, 2 and 5 of each power of ten between low and high.
func decades(low, high float64) (list []float64) {
	for e := math.Floor(math.Log10(low)); e <= math.Log10(high); e++ {
		for _, m := range []float64{1, 2, 5} {
			if v := m * math.Pow(10, e); v >= low && v <= high {
				list = append(list, v)
			}
		}
	}
	return list
}

func number(v float64) string { return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64) }

// line draws a line so many pixels wide.
func (c *canvas) line(x0, y0, x1, y1, width float64, col color.RGBA) {
	length := math.Hypot(x1-x0, y1-y0)
	if length == 0 {
		return
	}
	dx, dy := (x1-x0)/length*width/2, (y1-y0)/length*width/2
	x0, y0, x1, y1 = x0-dx/2, y0-dy/2, x1+dx/2, y1+dy/2 // neighbours meet
	// Only the box around it: a picture has thousands of lines.
	box := image.Rect(int(min(x0, x1)-width)-1, int(min(y0, y1)-width)-1, int(max(x0, x1)+width)+2, int(max(y0, y1)+width)+2)
	z := vector.NewRasterizer(box.Dx(), box.Dy())
	at := func(x, y float64) (float32, float32) {
		return float32(x - float64(box.Min.X)), float32(y - float64(box.Min.Y))
	}
	z.MoveTo(at(x0-dy, y0+dx))
	z.LineTo(at(x1-dy, y1+dx))
	z.LineTo(at(x1+dy, y1-dx))
	z.LineTo(at(x0+dy, y0-dx))
	z.ClosePath()
	z.Draw(c.img, box, image.NewUniform(col), image.Point{})
}

// text writes; anchor is the share of its width that stands in front of x.
func (c *canvas) text(face font.Face, s string, x, y float64, col color.RGBA, anchor float64) {
	x -= anchor * c.width(face, s)
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(col), Face: face, Dot: fixed.P(int(x), int(y))}
	d.DrawString(s)
}

func (c *canvas) width(face font.Face, s string) float64 {
	return float64(font.MeasureString(face, s)) / 64
}
