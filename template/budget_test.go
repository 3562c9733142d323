package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hostile are small templates that would cost much: in time, in memory, or in
// stack. Each is refused, and early. The parameter text has a megabyte, array
// 100,000 elements.
var hostile = map[string]string{
	"doubled text":       `"outputs": {"o": {"value": "[reduce(range(0, 60), 'ab', lambda('s', 'x', concat(lambdaVariables('s'), lambdaVariables('s'))))]"}}`,
	"doubled array":      `"outputs": {"o": {"value": "[reduce(range(0, 60), 'ab', lambda('s', 'x', createArray(lambdaVariables('s'), lambdaVariables('s'))))]"}}`,
	"doubled and shown":  `"outputs": {"o": {"value": "[bool(reduce(range(0, 60), 'ab', lambda('s', 'x', createArray(lambdaVariables('s'), lambdaVariables('s')))))]"}}`,
	"nested deeply":      `"outputs": {"o": {"value": "[string(reduce(range(0, 100), 0, lambda('a', 'i', reduce(range(0, 10000), lambdaVariables('a'), lambda('s', 'x', createArray(lambdaVariables('s')))))))]"}}`,
	"calls itself":       `"outputs": {"o": {"value": "[reduce(createArray(1), lambda('g', map(createArray(lambdaVariables('g')), lambdaVariables('g'))), lambda('f', 'x', map(createArray(lambdaVariables('f')), lambdaVariables('f'))))]"}}`,
	"intersection":       `"outputs": {"o": {"value": "[map(range(0, 10000), lambda('i', length(intersection(parameters('array'), parameters('array')))))]"}}`,
	"union":              `"outputs": {"o": {"value": "[map(range(0, 10000), lambda('i', length(union(parameters('array'), parameters('array')))))]"}}`,
	"guid":               `"outputs": {"o": {"value": "[map(range(0, 10000), lambda('i', guid(parameters('text'))))]"}}`,
	"contains":           `"outputs": {"o": {"value": "[map(range(0, 10000), lambda('i', contains(parameters('array'), -1)))]"}}`,
	"contains in text":   `"outputs": {"o": {"value": "[map(range(0, 10000), lambda('i', contains(parameters('text'), 'b')))]"}}`,
	"equals":             `"outputs": {"o": {"value": "[map(range(0, 10000), lambda('i', equals(parameters('array'), parameters('array'))))]"}}`,
	"length":             `"outputs": {"o": {"value": "[map(range(0, 10000), lambda('i', length(parameters('text'))))]"}}`,
	"split":              `"outputs": {"o": {"value": "[length(split(parameters('text'), map(range(0, 10000), lambda('i', concat('x', lambdaVariables('i'))))))]"}}`,
	"many locals":        `"outputs": {"o": {"value": "[map(range(0, 10000), lambda(` + strings.Repeat(`'a',`, 2000) + ` 1))]"}}`,
	"a long expression":  `"outputs": {"o": {"value": "[parameters('text')` + strings.Repeat(".a", 100_000) + `]"}}`,
	"loops in loops":     `"outputs": {"o": {"value": {"copy": [{"name": "a", "count": 800, "input": {"copy": [{"name": "b", "count": 800, "input": {"copy": [{"name": "c", "count": 800, "input": 1}]}}]}}]}}}`,
	"a long name":        `"outputs": {"o": {"value": {"` + strings.Repeat("n", 1<<20) + `": [` + strings.Repeat("0,", 100_000) + `"[nope()]"]}}}`,
	"allowed values":     `"parameters": {"p": {"type": "array", "allowedValues": [` + strings.Repeat("[1],", 60_000) + `2], "defaultValue": [` + strings.Repeat("[3],", 30_000) + `4]}}, "outputs": {}`,
	"many parameters":    `"variables": {` + members(1000) + `}`,
	"many secrets":       `"parameters": {"s": {"type": "secureObject", "defaultValue": {` + members(5000) + `}}}`,
	"many small values":  `"variables": {"v": [` + strings.Repeat("0,", 300_000) + `0]}`,
	"resources in loops": `"resources": [{"type": "A.B/c", "apiVersion": "1", "name": "[concat('a', copyIndex())]", "copy": {"name": "x", "count": 700}, "resources": [{"type": "d", "apiVersion": "1", "name": "x", "copy": {"name": "y", "count": 800}}]}]`,
	"references": `"resources": [{"type": "A.B/c", "apiVersion": "1", "name": "[concat('a', copyIndex())]", "copy": {"name": "x", "count": 800},
	  "properties": {"a": [` + strings.Repeat("0,", 100_000) + `0]}}]`,
	"members looked through": `"resources": [{"type": "A.B/c", "apiVersion": "1", "name": "[concat('a', copyIndex())]", "copy": {"name": "x", "count": 800}, ` + members(100_000) + `}]`,
	"nested deployments": `"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "1", "name": "[concat('a', copyIndex())]", "copy": {"name": "x", "count": 800},
	  "properties": {"template": {"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "1", "name": "[concat('a', copyIndex())]", "copy": {"name": "x", "count": 800},
	  "properties": {"template": {"resources": []}}}]}}}]`,
}

// members are n members of an object.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `%s"m%d": "text%d"`, map[bool]string{true: ", "}[i > 0], i, i)
	}
	return b.String()
}

func TestHostileTemplatesEndEarly(t *testing.T) {
	large := largeParameters()
	for name, src := range hostile {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(src, `"resources"`) {
				src += `, "resources": []`
			}
			parameters := map[string]any{}
			definitions := ""
			for _, p := range []string{"text", "array"} {
				if strings.Contains(src, "parameters('"+p+"')") {
					definitions += `"` + p + `": {"type": "` + map[string]string{"text": "string", "array": "array"}[p] + `"}`
					parameters[p] = map[string]any{"value": large[p]}
				}
			}
			if definitions != "" {
				src = `"parameters": {` + definitions + `}, ` + src
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := deploy(t, &fakeHost{preview: true}, "{"+src+"}", parameters)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("it went through")
			}
			if len(err.Error()) > 10_000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
			made := (after.TotalAlloc - before.TotalAlloc) >> 20
			if took > 20*time.Second || made > 400 {
				t.Errorf("%v, %d MB", took, made)
			}
			t.Logf("%v, %d MB: %.120s", took, made, err)
		})
	}
}

func TestAnEvaluationEndsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	// The host is asked in the middle of it.
	h := &fakeHost{canceled: func() bool { cancel(); return false }}
	tpl, err := Parse([]byte(`{"resources": [{"type": "A.B/c", "apiVersion": "1", "name": "x",
	  "properties": {"p": "[map(range(0, 10000), lambda('i', lambdaVariables('i')))]"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tpl.Deploy(ctx, h, input(nil))
	if !errors.Is(err, context.Canceled) || len(h.order) > 0 {
		t.Errorf("got %v, made %v", err, h.order)
	}
	b := newBudget(ctx)
	s := languageScope(t, b, map[string]any{"number": int64(1)})
	for name, row := range language {
		if _, err := parsed(t, row.call).eval(s); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWholeNumbersDoNotWrap(t *testing.T) {
	const most, least = "9223372036854775807", "sub(-9223372036854775807, 1)"
	for _, expr := range []string{
		"add(" + most + ", 1)", "add(" + least + ", -1)", "sub(" + least + ", 1)", "sub(0, " + least + ")", "mul(" + most + ", 2)", "mul(" + least + ", -1)", "mul(-1, " + least + ")",
		"div(" + least + ", -1)", "range(" + most + ", 2)", "copyIndex('l', " + most + ")", "int('9223372036854775808')",
		"dateTimeFromEpoch(" + most + ")", "dateTimeAdd('2026-01-01', 'P1000000Y')", "dateTimeAdd('2026-01-01', '-P1000000Y')",
	} {
		s := languageScope(t, newBudget(t.Context()), nil)
		if v, err := parsed(t, expr).eval(s); err == nil {
			t.Errorf("%s is %v", expr, v)
		}
	}
	for _, a := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		if v, err := add(a, 0); err != nil || v != a {
			t.Errorf("add(%d, 0): %d, %v", a, v, err)
		}
	}
}

func TestNumbersAreComparedByTheirValue(t *testing.T) {
	// In ascending order; those in one line are equal.
	lines := [][]any{
		{json.Number("-1e400"), json.Number("-10.0e399")},
		{json.Number("-9223372036854775809")},
		{int64(math.MinInt64), json.Number("-9223372036854775808.0")},
		{int64(-2)},
		{json.Number("-1.5"), json.Number("-15e-1")},
		{int64(-1)},
		{int64(0), json.Number("-0"), json.Number("0.000e7")},
		{json.Number("1e-400")},
		{json.Number("0.1")},
		{int64(1), json.Number("1.0"), json.Number("10e-1"), json.Number("0.01e2")},
		{int64(9007199254740992)},
		{int64(9007199254740993), json.Number("9007199254740993.0")},
		{int64(math.MaxInt64)},
		{json.Number("9223372036854775808")},
		{json.Number("1e99999999999999999999999")},
	}
	b := newBudget(t.Context())
	for i, line := range lines {
		for _, x := range line {
			for j, other := range lines {
				for _, y := range other {
					want := map[bool]int{true: 1, false: -1}[i > j]
					if i == j {
						want = 0
					}
					if got, ok := compareNumbers(x, y); !ok || got != want {
						t.Errorf("%v and %v: %d, %v", x, y, got, ok)
					}
					eq, err := b.equal(x, y)
					if err != nil || eq != (want == 0) || eq != (shapeOf(x) == shapeOf(y)) {
						t.Errorf("%v and %v: equal %v, %v, shapes %v and %v", x, y, eq, err, shapeOf(x), shapeOf(y))
					}
				}
			}
		}
	}
	s := languageScope(t, b, nil)
	got, err := parsed(t, "createArray(contains(createArray(9007199254740993), 9007199254740992), length(union(createArray(9007199254740993), createArray(9007199254740992, 9007199254740993))), less(json('9007199254740992.5'), 9007199254740993))").eval(s)
	if diff := cmp.Diff([]any{false, int64(2), true}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestTheBudgetCountsWhatIsLeft(t *testing.T) {
	b := newBudget(t.Context())
	if err := b.spend(mostSteps); err != nil {
		t.Errorf("all of it: %v", err)
	}
	for range 2 { // what could not be paid once cannot be paid at all
		if err := b.spend(1); err == nil {
			t.Error("more than all of it")
		}
	}
	if err := newBudget(t.Context()).spend(math.MaxInt); err == nil {
		t.Error("the largest number is none too many")
	}
	b = newBudget(t.Context())
	if err := b.allot(mostBytes + 1); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("too many bytes: %v", err)
	}
}

// What ARM allows at most fits well: 800 resources with bodies that people write.
func TestTheLargestTemplatesFit(t *testing.T) {
	var body strings.Builder
	for i := range 60 {
		fmt.Fprintf(&body, `"p%d": "[format('{0}-{1}', parameters('config').names[mod(copyIndex(), 100)], copyIndex())]", "o%d": {"text": "some text that stands there", "n": %d},`, i, i, i)
	}
	names := make([]any, 100)
	for i := range names {
		names[i] = fmt.Sprint("name", i)
	}
	tpl, err := Parse([]byte(`{"parameters": {"config": {"type": "object"}}, "resources": [
	  {"type": "A.B/c", "apiVersion": "1", "name": "first"},
	  {"type": "A.B/c", "apiVersion": "1", "name": "[concat('a', copyIndex())]", "copy": {"name": "l", "count": 799}, "dependsOn": ["first"],
	   "properties": {` + body.String() + `"ref": "[reference('first', '1', 'Full').id]"}}],
	  "outputs": {"all": {"type": "array", "copy": {"count": 799, "input": "[reference(concat('a', copyIndex())).p0]"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	b := newBudget(t.Context())
	s, _, err := tpl.begin(t.Context(), &fakeHost{}, input(map[string]any{"config": map[string]any{"value": map[string]any{"names": names}}}), b)
	if err == nil {
		err = tpl.deploy(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d steps and %d MB are left", b.steps, b.bytes>>20)
	if b.steps < mostSteps/4 || b.bytes < mostBytes/4 {
		t.Errorf("%d steps and %d bytes are left", b.steps, b.bytes)
	}
}
