package main

import (
	"cmp"

	"github.com/grafana/grafana-foundation-sdk/go/barchart"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// row is a titled group of panels.
type row struct {
	title  string
	panels []panel
}

// kind is how a panel draws its targets.
type kind int

const (
	lines kind = iota // values over time
	value             // the last value, large
	bars              // one bar for each record of a table
)

// panel describes a panel. Its width is in columns of the grid, of which a row has 24.
type panel struct {
	id          uint32
	kind        kind
	title       string
	description string // one sentence
	unit        string // the id of one of Grafana's units
	width       uint32
	height      uint32   // 0: as the kind has it
	max         *float64 // of the axis
	warn, alarm float64  // the thresholds of yellow and red; with alarm below warn, values below them; 0: none
	targets     []variants.Dataquery
}

// The datasources, by their types and by their uids in compose/grafana/provisioning.
var (
	prometheusSource = common.DataSourceRef{Type: new("prometheus"), Uid: new("prometheus")}
	statsSource      = common.DataSourceRef{Type: new("yesoreyeram-infinity-datasource"), Uid: new("stats-service")}
)

// query is a PromQL expression with the legend of its series.
type query struct{ expr, legend string }

// overTime returns targets that are executed for the dashboard's time range.
func overTime(queries ...query) []variants.Dataquery {
	return targets(queries, prometheus.Dataquery{Range: new(true), Instant: new(false)})
}

// atOnce returns targets that are executed for the end of the dashboard's time range.
func atOnce(queries ...query) []variants.Dataquery {
	return targets(queries, prometheus.Dataquery{Range: new(false), Instant: new(true)})
}

func targets(queries []query, kind prometheus.Dataquery) []variants.Dataquery {
	all := make([]variants.Dataquery, len(queries))
	for i, q := range queries {
		target := kind
		target.Datasource, target.RefId, target.Expr = &prometheusSource, new(string(rune('A'+i))), q.expr
		if q.legend != "" {
			target.LegendFormat = &q.legend
		}
		all[i] = target
	}
	return all
}

// column is a column of the table that an Infinity target returns: a selector in each
// record, its name, and number or string.
type column struct {
	Selector string `json:"selector"`
	Text     string `json:"text"`
	Type     string `json:"type"`
}

// statsURL is where Grafana reaches GET /stats.
const statsURL = "http://stats-service:8081/stats"

// fromStats returns a target that requests /stats through Grafana's server, with the
// records below root in its answer; an empty root is the answer itself.
func fromStats(parameters, root string, columns ...column) []variants.Dataquery {
	return []variants.Dataquery{variants.UnknownDataquery{
		"refId": "A", "datasource": statsSource, "type": "json", "source": "url", "parser": "backend", "format": "table",
		"url": statsURL + parameters, "url_options": map[string]string{"method": "GET"},
		"root_selector": root, "columns": columns,
	}}
}

// Build implements cog.Builder.
func (p panel) Build() (dashboard.Panel, error) {
	built, err := p.visualization().Build()
	if err != nil {
		return built, err
	}
	built.Id, built.Title, built.Description = &p.id, &p.title, &p.description
	built.Targets = p.targets
	built.Datasource = &prometheusSource
	if _, isProm := p.targets[0].(prometheus.Dataquery); !isProm {
		built.Datasource = &statsSource
	}
	built.GridPos = &dashboard.GridPos{W: p.width, H: cmp.Or(p.height, p.kind.height())}
	if built.FieldConfig == nil { // the builder of a stat panel has no field of its own to set
		built.FieldConfig = dashboard.NewFieldConfigSource()
	}
	defaults := &built.FieldConfig.Defaults
	defaults.Unit, defaults.Min, defaults.Max = &p.unit, new(0.0), p.max
	defaults.Thresholds = &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: p.thresholds()}
	return built, nil
}

func (k kind) height() uint32 {
	if k == value {
		return 4
	}
	return 8
}

func (p panel) visualization() cog.Builder[dashboard.Panel] {
	legend := common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeTable).
		Placement(common.LegendPlacementBottom).ShowLegend(true).Calcs([]string{"lastNotNull", "max"})
	switch p.kind {
	case value:
		return stat.NewPanelBuilder().
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
			Orientation(common.VizOrientationAuto).GraphMode(common.BigValueGraphModeNone).ColorMode(common.BigValueColorModeValue)
	case bars:
		return barchart.NewPanelBuilder().Legend(common.NewVizLegendOptionsBuilder().ShowLegend(false))
	default:
		drawn := timeseries.NewPanelBuilder().Legend(legend).FillOpacity(10).ShowPoints(common.VisibilityModeNever).
			Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
		if p.alarm != 0 {
			drawn.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
		}
		return drawn
	}
}

// thresholds returns the steps from the lowest value up.
func (p panel) thresholds() []dashboard.Threshold {
	switch {
	case p.alarm == 0:
		return []dashboard.Threshold{{Color: "green"}}
	case p.alarm < p.warn:
		return []dashboard.Threshold{{Color: "red"}, {Value: &p.alarm, Color: "yellow"}, {Value: &p.warn, Color: "green"}}
	default:
		return []dashboard.Threshold{{Color: "green"}, {Value: &p.warn, Color: "yellow"}, {Value: &p.alarm, Color: "red"}}
	}
}

// spec describes a dashboard. Its name is that of its file, and with todo- before it the uid.
type spec struct {
	name, title, description string
	byInstance               bool // its expressions select by the variable instance
	rows                     []row
}

// build returns the dashboard, which encodes to the JSON that Grafana reads.
func (s spec) build() (any, error) {
	//nolint:staticcheck // every version of Grafana reads this format from files; the next one needs a new version
	builder := dashboard.NewDashboardBuilder(s.title).Uid("todo-"+s.name).Description(s.description).Tags([]string{"todo"}).
		Timezone("browser").Time("now-30m", "now").Refresh("30s").Readonly().Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("Todo dashboards").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{"todo"}))
	if s.byInstance {
		builder.WithVariable(allOf("service", "Service", "label_values(service_info, service)")).
			WithVariable(allOf("instance", "Instance", `label_values(service_info{service=~"$service"}, instance)`))
	}
	var id uint32
	for _, r := range s.rows {
		id++
		builder.WithRow(dashboard.NewRowBuilder(r.title).Id(id))
		for _, p := range r.panels {
			id++
			p.id = id
			builder.WithPanel(p)
		}
	}
	return builder.Build()
}

// allOf returns a variable with the values that a query to Prometheus returns, all of them by default.
func allOf(name, label, query string) *dashboard.QueryVariableBuilder {
	all := func() dashboard.StringOrArrayOfString { return dashboard.StringOrArrayOfString{String: new("$__all")} }
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(prometheusSource).
		Query(dashboard.StringOrMap{String: &query}).Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc).Multi(true).IncludeAll(true).
		Current(dashboard.VariableOption{Selected: new(true), Text: dashboard.StringOrArrayOfString{String: new("All")}, Value: all()})
}
