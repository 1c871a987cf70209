package annotate

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// point is what data points of all kinds have in common.
type point struct {
	time       pcommon.Timestamp
	attributes pcommon.Map
	exemplars  pmetric.ExemplarSlice
	// hasExemplars is false for the kind that has none, summaries.
	hasExemplars bool
}

func (p point) exemplarCount() int {
	if !p.hasExemplars {
		return 0
	}
	return p.exemplars.Len()
}

// pointCount is how many data points a metric of any kind has.
func pointCount(metric pmetric.Metric) int {
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		return metric.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSum:
		return metric.Sum().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return metric.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return metric.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		return metric.Summary().DataPoints().Len()
	}
	return 0
}

// pointAt is one of them; index must be below pointCount.
func pointAt(metric pmetric.Metric, index int) point {
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		return numberPoint(metric.Gauge().DataPoints().At(index))
	case pmetric.MetricTypeSum:
		return numberPoint(metric.Sum().DataPoints().At(index))
	case pmetric.MetricTypeHistogram:
		at := metric.Histogram().DataPoints().At(index)
		return point{at.Timestamp(), at.Attributes(), at.Exemplars(), true}
	case pmetric.MetricTypeExponentialHistogram:
		at := metric.ExponentialHistogram().DataPoints().At(index)
		return point{at.Timestamp(), at.Attributes(), at.Exemplars(), true}
	default:
		at := metric.Summary().DataPoints().At(index)
		return point{time: at.Timestamp(), attributes: at.Attributes()}
	}
}

func numberPoint(at pmetric.NumberDataPoint) point {
	return point{at.Timestamp(), at.Attributes(), at.Exemplars(), true}
}
