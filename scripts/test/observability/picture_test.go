package observability

import (
	"flag"
	"fmt"
	"html"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/tidwall/gjson"
)

var picture = flag.String("picture", "", "the SVG `file` that the dashboard is drawn into")

// pictureTime is how much of the run the picture shows.
const pictureTime = 4 * time.Minute

// The layout, in pixels. A column and a unit of height are those of Grafana's grid.
const (
	pictureRows  = 3
	columnWidth  = 54
	unitHeight   = 30
	panelGap     = 8
	titleHeight  = 24
	legendHeight = 15
	maxLegend    = 6
	axisWidth    = 52
)

var palette = []string{"#2f7ed8", "#e8743b", "#19a979", "#945ecf", "#ed4a7b", "#6c8893", "#bf9f00", "#13a4b4"}

// canvas collects the elements of the picture.
type canvas struct{ strings.Builder }

func (c *canvas) addf(format string, args ...any) { fmt.Fprintf(&c.Builder, format+"\n", args...) }

func (c *canvas) text(x, y, size float64, anchor, colour, text string) {
	c.addf(`<text x="%.0f" y="%.0f" font-size="%.0f" text-anchor="%s" fill="%s">%s</text>`, x, y, size, anchor, colour, html.EscapeString(text))
}

// drawing is one picture of a dashboard.
type drawing struct {
	canvas
	system  *system
	prom    *prometheus
	replace func(string) string
}

// drawPicture draws the first rows of the dashboard into the file of the flag.
func drawPicture(t *testing.T, s *system, p *prometheus, d dashboardJSON) {
	t.Helper()
	g := &drawing{system: s, prom: p, replace: interpolator(t, p, d)}
	rows, bottom := 0, 0
	for _, panel := range d.Panels {
		if panel.Type == "row" {
			rows++
		}
		if rows > pictureRows {
			break
		}
		bottom = panel.GridPos.Y + panel.GridPos.H
		g.panel(t, panel)
	}
	width, height := 24*columnWidth+panelGap, bottom*unitHeight+2*titleHeight
	g.text(float64(width)/2, float64(height)-panelGap, 12, "middle", "#666", "Drawn by scripts/test/observability from the dashboard's JSON and the data of a test run with faults, not by Grafana.")
	file := fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#f4f5f5\"/>\n%s</svg>\n",
		width, height, g.String())
	if err := os.WriteFile(*picture, []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
}

// box is the place of a panel's content.
type box struct{ x, y, w, h float64 }

func (g *drawing) panel(t *testing.T, panel panelJSON) {
	t.Helper()
	at := panel.GridPos
	b := box{float64(at.X*columnWidth + panelGap), float64(at.Y*unitHeight + panelGap), float64(at.W*columnWidth - panelGap), float64(at.H*unitHeight - panelGap)}
	if panel.Type == "row" {
		g.text(b.x, b.y+14, 15, "start", "#222", panel.Title)
		return
	}
	g.addf(`<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" rx="3" fill="white" stroke="#d8d9da"/>`, b.x, b.y, b.w, b.h)
	g.text(b.x+panelGap, b.y+17, 12, "start", "#222", panel.Title)
	content := box{b.x + panelGap, b.y + titleHeight, b.w - 2*panelGap, b.h - titleHeight - panelGap}
	switch panel.Type {
	case "stat":
		g.text(b.x+b.w/2, content.y+content.h/2+14, 38, "middle", "#1a7f37", format(g.value(t, panel.Targets[0]), panel.FieldConfig.Defaults.Unit))
	case "barchart":
		g.bars(t, content, panel.Targets[0])
	case "timeseries":
		g.lines(t, content, panel)
	default:
		t.Errorf("panel %s: the type %s cannot be drawn", panel.Title, panel.Type)
	}
}

// value returns the figure of a target's only series.
func (g *drawing) value(t *testing.T, q target) float64 {
	t.Helper()
	if q.Datasource.Type == statsType {
		number, err := lastNumber(g.records(t, q))
		if err != nil {
			t.Error(err)
		}
		return float64(number)
	}
	value, err := g.prom.value(t.Context(), g.replace(q.Expr))
	if err != nil {
		t.Errorf("%s: %v", q.Expr, err)
	}
	return value
}

func (g *drawing) records(t *testing.T, q target) table {
	t.Helper()
	records, err := fetchTable(g.system.env["STATS_HTTP_ADDR"], q)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// bars draws one bar for each record, with its text below it.
func (g *drawing) bars(t *testing.T, b box, q target) {
	t.Helper()
	records := g.records(t, q)
	highest := 1.0
	for _, record := range records {
		for _, cell := range record {
			highest = math.Max(highest, cell.Float())
		}
	}
	step, floor := b.w/float64(len(records)), b.y+b.h-legendHeight
	for i, record := range records {
		x := b.x + float64(i)*step
		for _, cell := range record {
			if cell.Type != gjson.Number {
				if i%4 == 1 {
					g.text(x+step/2, floor+legendHeight-2, 10, "middle", "#666", strings.TrimPrefix(cell.String(), "20"))
				}
				continue
			}
			height := cell.Float() / highest * (floor - b.y - legendHeight)
			g.addf(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, x+2, floor-height, step-4, height, palette[0])
		}
	}
}

// line is a series with its legend.
type line struct {
	name   string
	points []model.SamplePair
}

// series executes all targets of a panel over the time of the run.
func (g *drawing) series(t *testing.T, panel panelJSON) (all []line) {
	t.Helper()
	for _, q := range panel.Targets {
		matrix, err := g.prom.series(t.Context(), g.replace(q.Expr))
		if err != nil {
			t.Errorf("%s: %v", q.Expr, err)
		}
		for _, stream := range matrix {
			name := labelTemplate.ReplaceAllStringFunc(q.LegendFormat, func(label string) string {
				return string(stream.Metric[model.LabelName(strings.Trim(label, "{}"))])
			})
			all = append(all, line{name, stream.Values})
		}
	}
	return all
}

// lines draws a line for each series, the axis of values, and a legend of the first series.
func (g *drawing) lines(t *testing.T, b box, panel panelJSON) {
	t.Helper()
	all := g.series(t, panel)
	highest, first, last := 0.0, model.Time(math.MaxInt64), model.Time(0)
	for _, l := range all {
		for _, p := range l.points {
			if isFinite(p.Value) {
				highest, first, last = math.Max(highest, float64(p.Value)), min(first, p.Timestamp), max(last, p.Timestamp)
			}
		}
	}
	if highest == 0 {
		highest = 1
	}
	shown := min(len(all), maxLegend)
	left, floor := b.x+axisWidth, b.y+b.h-float64((shown+1)/2*legendHeight)-4
	for i := range 3 {
		share := float64(i) / 2
		y := floor - share*(floor-b.y-6)
		g.addf(`<line x1="%.0f" y1="%.1f" x2="%.0f" y2="%.1f" stroke="#e6e6e6"/>`, left, y, b.x+b.w, y)
		g.text(left-4, y+4, 10, "end", "#666", format(share*highest, panel.FieldConfig.Defaults.Unit))
	}
	for i, l := range all {
		var path strings.Builder
		pen := "M"
		for _, p := range l.points {
			if !isFinite(p.Value) {
				pen = "M" // a gap
				continue
			}
			x := left + float64(p.Timestamp-first)/math.Max(1, float64(last-first))*(b.x+b.w-left)
			fmt.Fprintf(&path, "%s%.1f %.1f", pen, x, floor-float64(p.Value)/highest*(floor-b.y-6))
			pen = "L"
		}
		colour := palette[i%len(palette)]
		g.addf(`<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, path.String(), colour)
		if i < shown {
			x, y := b.x+float64(i%2)*b.w/2, floor+float64((i/2+1)*legendHeight)
			g.addf(`<rect x="%.0f" y="%.0f" width="10" height="4" fill="%s"/>`, x, y-3, colour)
			name := l.name
			if more := len(all) - shown; i == shown-1 && more > 0 {
				name += fmt.Sprintf(" +%d", more)
			}
			g.text(x+14, y+2, 10, "start", "#444", name)
		}
	}
}

// format formats a value in one of Grafana's units.
func format(v float64, unit string) string {
	switch unit {
	case "percentunit":
		return fmt.Sprintf("%.3g%%", 100*v)
	case "reqps":
		return fmt.Sprintf("%.3g/s", v)
	case "s":
		if v < 1 {
			return fmt.Sprintf("%.3g ms", 1000*v)
		}
		return fmt.Sprintf("%.3g s", v)
	default:
		return fmt.Sprintf("%.6g", v)
	}
}
