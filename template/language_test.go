package template

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// language is every function of the language: a call and what it comes to; and a
// call with arguments as large as they get, which must not do more than it has
// paid for: largeParameters makes them.
//
// least is what the large call must cost; 0 stands for a function that does the
// same whatever it is given.
var language = map[string]struct {
	call  string
	want  any
	large string
	least int
}{
	"concat":               {"concat('a', 1, true)", "a1True", "concat(parameters('text'), 'x')", textSteps},
	"format":               {"format('{0:000}/{1}{{}}{2:X2}', 7, 'x', 10)", "007/x{}0A", "format(parameters('text'), 1)", textSteps},
	"tolower":              {"toLower('ÄB')", "äb", "toLower(parameters('text'))", textSteps},
	"toupper":              {"toUpper('äb')", "ÄB", "toUpper(parameters('text'))", textSteps},
	"trim":                 {"trim('  a ')", "a", "trim(parameters('text'))", textSteps},
	"startswith":           {"startsWith('abc', 'AB')", true, "startsWith(parameters('text'), parameters('text'))", 2 * textSteps},
	"endswith":             {"endsWith('abc', 'BC')", true, "endsWith(parameters('text'), parameters('text'))", 2 * textSteps},
	"base64":               {"base64('a€')", "YeKCrA==", "base64(parameters('text'))", textSteps},
	"base64tostring":       {"base64ToString('YeKCrA==')", "a€", "base64ToString(parameters('base64'))", textSteps},
	"base64tojson":         {"base64ToJson('eyJhIjoxfQ==')", map[string]any{"a": int64(1)}, "base64ToJson(parameters('base64'))", textSteps},
	"datauri":              {"dataUri('a')", "data:text/plain;charset=utf8;base64,YQ==", "dataUri(parameters('text'))", textSteps},
	"datauritostring":      {"dataUriToString('data:text/plain;base64,YQ==')", "a", "dataUriToString(parameters('base64'))", textSteps},
	"uricomponent":         {"uriComponent('a b/+')", "a%20b%2F%2B", "uriComponent(parameters('text'))", textSteps},
	"uricomponenttostring": {"uriComponentToString('a%20b+')", "a b+", "uriComponentToString(parameters('text'))", textSteps},
	"uri":                  {"uri('https://x.example/a/', 'b')", "https://x.example/a/b", "uri(parameters('text'), 'b')", textSteps},
	"replace":              {"replace('a.b.c', '.', '--')", "a--b--c", "replace(parameters('text'), 'a', 'bbbb')", textSteps},
	"split":                {"split('a;b,c', createArray(';', ','))", []any{"a", "b", "c"}, "split(parameters('text'), parameters('letters'))", 10 * textSteps},
	"join":                 {"join(createArray('a', 1), '-')", "a-1", "join(parameters('array'), parameters('text'))", mostSteps},
	"substring":            {"substring('aäbc', 1, 2)", "äb", "substring(parameters('text'), 5)", textSteps},
	"padleft":              {"padLeft(7, 3, '0')", "007", "padLeft(parameters('text'), 60000)", textSteps},
	"indexof":              {"indexOf('aäBc', 'b')", int64(2), "indexOf(parameters('text'), 'x')", textSteps},
	"lastindexof":          {"lastIndexOf(createArray('a', 'b', 'a'), 'a')", int64(2), "lastIndexOf(parameters('array'), -1)", arraySteps},
	"string":               {"string(createArray(1, 'a'))", `[1,"a"]`, "string(parameters('array'))", arraySteps},
	"json":                 {"json('{\"a\": [1, 2.5]}')", map[string]any{"a": []any{int64(1), json.Number("2.5")}}, "json(parameters('json'))", arraySteps},
	"uniquestring":         {"uniqueString('a', 'b')", "2rbwfvt5siijd", "uniqueString(parameters('text'))", textSteps},
	"guid":                 {"guid('a', 'b')", "2d796349-8c7e-55ec-9624-54ece82ed031", "guid(parameters('text'))", textSteps},
	"fail":                 {"if(false(), fail('no'), 1)", int64(1), "fail(parameters('text'))", textSteps},

	"array":        {"array('a')", []any{"a"}, "array(parameters('array'))", 0},
	"createarray":  {"createArray(1, 'a')", []any{int64(1), "a"}, "createArray(" + strings.Repeat("1,", 10_000) + "1)", 10_000},
	"createobject": {"createObject('a', 1)", map[string]any{"a": int64(1)}, "createObject('a', parameters('text'))", textSteps},
	"contains":     {"contains(createObject('One', 1), 'one')", true, "contains(parameters('array'), -1)", arraySteps},
	"empty":        {"empty('')", true, "empty(parameters('text'))", textSteps},
	"length":       {"length('aä')", int64(2), "length(parameters('text'))", textSteps},
	"first":        {"first('äb')", "ä", "first(parameters('text'))", textSteps},
	"last":         {"last(createArray(1, 2))", int64(2), "last(parameters('text'))", textSteps},
	"skip":         {"skip('aäb', 2)", "b", "skip(parameters('text'), 10)", textSteps},
	"take":         {"take(createArray(1, 2, 3), 2)", []any{int64(1), int64(2)}, "take(parameters('text'), 10)", textSteps},
	"range":        {"range(5, 2)", []any{int64(5), int64(6)}, "range(0, 10000)", 10_000},
	"union": {
		"union(createObject('a', createObject('b', 1)), createObject('A', createObject('c', 2)))",
		map[string]any{"a": map[string]any{"b": int64(1), "c": int64(2)}},
		"union(parameters('array'), parameters('lists'))", arraySteps,
	},
	"intersection": {"intersection(createArray(1, 2, 3, 2), createArray(3, 2))", []any{int64(2), int64(3)}, "intersection(parameters('lists'), parameters('lists'))", mostSteps},
	"flatten":      {"flatten(createArray(createArray(1), createArray(2, 3)))", []any{int64(1), int64(2), int64(3)}, "flatten(parameters('lists'))", arraySteps},
	"items":        {"items(createObject('b', 1, 'a', 2))", []any{map[string]any{"key": "a", "value": int64(2)}, map[string]any{"key": "b", "value": int64(1)}}, "items(parameters('object'))", arraySteps},
	"objectkeys":   {"objectKeys(createObject('b', 1, 'a', 2))", []any{"a", "b"}, "objectKeys(parameters('object'))", arraySteps},
	"tryget":       {"tryGet(createObject('a', createArray(7)), 'a', 0)", int64(7), "tryGet(parameters('object'), 'K1')", arraySteps},
	"shallowmerge": {"shallowMerge(createArray(createObject('a', 1), createObject('b', 2)))", map[string]any{"a": int64(1), "b": int64(2)}, "shallowMerge(parameters('objects'))", arraySteps},

	"equals":          {"equals(9007199254740993, 9007199254740992)", false, "equals(parameters('array'), parameters('again'))", arraySteps},
	"not":             {"not(true())", false, "", 0},
	"bool":            {"bool('TRUE')", true, "bool(parameters('text'))", textSteps},
	"true":            {"true()", true, "", 0},
	"false":           {"false()", false, "", 0},
	"null":            {"null()", nil, "", 0},
	"less":            {"less('a', 'b')", true, "less(parameters('text'), parameters('text'))", 2 * textSteps},
	"lessorequals":    {"lessOrEquals(9007199254740993, 9007199254740992)", false, "", 0},
	"greater":         {"greater(9007199254740993, 9007199254740992)", true, "", 0},
	"greaterorequals": {"greaterOrEquals(2, 2)", true, "", 0},
	"add":             {"add(40, 2)", int64(42), "", 0},
	"sub":             {"sub(40, -2)", int64(42), "", 0},
	"mul":             {"mul(-6, 7)", int64(-42), "", 0},
	"div":             {"div(-7, 2)", int64(-3), "", 0},
	"mod":             {"mod(-7, 2)", int64(-1), "", 0},
	"int":             {"int(' 7 ')", int64(7), "int(parameters('text'))", textSteps},
	"float":           {"float('1.50')", json.Number("1.50"), "float(parameters('text'))", textSteps},
	"min":             {"min(3, 1, 2)", int64(1), "min(parameters('array'))", arraySteps},
	"max":             {"max(createArray(3, 1, 4))", int64(4), "max(parameters('array'))", arraySteps},

	"datetimeadd":         {"dateTimeAdd('2026-03-01T08:00:00Z', 'P1DT2H', 'yyyy-MM-dd HH')", "2026-03-02 10", "dateTimeAdd('2026-03-01T08:00:00Z', parameters('text'))", textSteps},
	"datetimetoepoch":     {"dateTimeToEpoch('2026-03-01')", int64(1772323200), "dateTimeToEpoch(parameters('text'))", textSteps},
	"datetimefromepoch":   {"dateTimeFromEpoch(1772323200)", "2026-03-01T00:00:00Z", "", 0},
	"extensionresourceid": {"extensionResourceId('/subscriptions/s1', 'A.B/c', 'd')", "/subscriptions/s1/providers/A.B/c/d", "extensionResourceId(parameters('text'), 'A.B/c', 'd')", textSteps},
	"tenantresourceid":    {"tenantResourceId('A.B/c', 'd')", "/providers/A.B/c/d", "tenantResourceId('A.B/c', parameters('text'))", textSteps},

	"if":                        {"if(equals(1, 1), 'yes', nope())", "yes", "", 0},
	"and":                       {"and(true(), false(), nope())", false, "", 0},
	"or":                        {"or(false(), true, nope())", true, "", 0},
	"coalesce":                  {"coalesce(null(), null, 'x', nope())", "x", "", 0},
	"parameters":                {"parameters('NUMBER')", int64(7), "", 0},
	"variables":                 {"variables('v')", "of 7", "", 0},
	"copyindex":                 {"copyIndex('l', 10)", int64(13), "", 0},
	"lambda":                    {"map(createArray(1), lambda('x', 5))", []any{int64(5)}, "map(parameters('array'), lambda('x', 5))", arraySteps},
	"lambdavariables":           {"map(createArray(1), lambda('x', lambdaVariables('x')))", []any{int64(1)}, "", 0},
	"map":                       {"map(range(0, 3), lambda('i', mul(lambdaVariables('i'), 2)))", []any{int64(0), int64(2), int64(4)}, "map(parameters('array'), lambda('x', 'i', 5))", arraySteps},
	"filter":                    {"filter(createArray('a', 'b'), lambda('x', not(equals(lambdaVariables('x'), 'a'))))", []any{"b"}, "filter(parameters('array'), lambda('x', true))", arraySteps},
	"reduce":                    {"reduce(range(1, 4), 0, lambda('s', 'x', add(lambdaVariables('s'), lambdaVariables('x'))))", int64(10), "reduce(parameters('array'), 0, lambda('s', 'x', 1))", arraySteps},
	"sort":                      {"sort(createArray(3, 1, 2), lambda('a', 'b', less(lambdaVariables('a'), lambdaVariables('b'))))", []any{int64(1), int64(2), int64(3)}, "sort(parameters('array'), lambda('a', 'b', true))", 20 * arraySteps},
	"toobject":                  {"toObject(createArray('a'), lambda('x', lambdaVariables('x')), lambda('x', 1))", map[string]any{"a": int64(1)}, "toObject(parameters('array'), lambda('x', 'k'))", arraySteps},
	"mapvalues":                 {"mapValues(createObject('a', 1), lambda('v', add(lambdaVariables('v'), 1)))", map[string]any{"a": int64(2)}, "mapValues(parameters('object'), lambda('v', 1))", arraySteps},
	"groupby":                   {"groupBy(createArray('a', 'b', 'aa'), lambda('x', first(lambdaVariables('x'))))", map[string]any{"a": []any{"a", "aa"}, "b": []any{"b"}}, "groupBy(parameters('array'), lambda('x', 'k'))", arraySteps},
	"resourceid":                {"resourceId('rg2', 'A.B/c', 'd')", "/subscriptions/s1/resourceGroups/rg2/providers/A.B/c/d", "resourceId('A.B/c', parameters('text'))", textSteps},
	"subscriptionresourceid":    {"subscriptionResourceId('A.B/c', 'd')", "/subscriptions/s1/providers/A.B/c/d", "subscriptionResourceId('A.B/c', parameters('text'))", textSteps},
	"managementgroupresourceid": {"managementGroupResourceId('m', 'A.B/c', 'd')", "/providers/Microsoft.Management/managementGroups/m/providers/A.B/c/d", "managementGroupResourceId('m', 'A.B/c', parameters('text'))", textSteps},
	"reference":                 {"reference('/made').x", int64(1), "reference('/large')", arraySteps},
	"references":                {"length(references('none'))", int64(0), "references(parameters('text'))", textSteps},
	"resourcegroup":             {"resourceGroup().name", "rg1", "", 0},
	"subscription":              {"subscription().subscriptionId", "s1", "", 0},
	"tenant":                    {"tenant().tenantId", "t1", "", 0},
	"deployer":                  {"deployer().objectId", "o1", "", 0},
	"environment":               {"environment().name", "Intertie", "", 0},
	"deployment":                {"deployment().properties.parameters.number.value", int64(7), "", 0},
	"newguid":                   {"length(newGuid())", int64(36), "", 0},
	"utcnow":                    {"utcNow('yyyy')", "2026", "utcNow(parameters('text'))", textSteps},

	// What is called list… asks a resource; what has a dot is the template's own.
	"listkeys":  {"listKeys('/made', '2026-01-01').key1", "listKeys of made", "listKeys('/made', '2026-01-01', parameters('array'))", arraySteps},
	"my.double": {"my.double(21)", int64(42), "my.double(parameters('text'))", textSteps},
}

const (
	largeText  = 1 << 20
	largeArray = 100_000
	textSteps  = largeText / bytesPerStep
	arraySteps = largeArray
)

// largeParameters are the values that the large calls are given.
func largeParameters() map[string]any {
	array, lists, objects, object := make([]any, largeArray), make([]any, largeArray), make([]any, largeArray), make(map[string]any, largeArray)
	for i := range array {
		array[i], lists[i], objects[i] = int64(i), []any{int64(i)}, map[string]any{"k": int64(i)}
		object[fmt.Sprint("k", i)] = int64(i)
	}
	letters := []any{}
	for c := 'a'; c < 'a'+20; c++ {
		letters = append(letters, string(c))
	}
	return map[string]any{
		"text": strings.Repeat("a", largeText), "base64": strings.Repeat("YWFh", largeText/4), "json": "[" + strings.Repeat("1,", largeArray) + "1]",
		"array": array, "again": slices.Clone(array), "lists": lists, "objects": objects, "object": object, "letters": letters, "number": int64(7),
	}
}

// languageScope is a scope in which every function has what it needs.
func languageScope(t *testing.T, b *budget, parameters map[string]any) *scope {
	t.Helper()
	tpl, err := Parse([]byte(`{"functions": [{"namespace": "my", "members": {"double": {"parameters": [{"name": "n"}], "output": {"value": "[mul(parameters('n'), 2)]"}}}}],
	  "variables": {"v": "[concat('of ', parameters('number'))]"}, "resources": []}`))
	if err != nil {
		t.Fatal(err)
	}
	large := map[string]any{}
	if a, ok := parameters["array"]; ok {
		large["properties"] = map[string]any{"a": a}
	}
	h := &fakeHost{made: map[string]map[string]any{"/made": {"properties": map[string]any{"x": 1}}, "/large": large}}
	in := input(nil)
	in.Around = map[string]map[string]any{
		"subscription": {"subscriptionId": "s1"}, "resourcegroup": {"name": "rg1"}, "tenant": {"tenantId": "t1"}, "deployer": {"objectId": "o1"}, "environment": {"name": "Intertie"},
	}
	s := &scope{
		template: tpl, in: &in, parameters: parameters, budget: b, loops: []loop{{"l", 3}}, locals: map[string]any{},
		variables: &variables{nodes: map[string]*node{"v": tpl.root.get("variables").get("v")}, values: map[string]any{}, under: map[string]bool{}},
	}
	s.run = &run{ctx: b.ctx, host: h, result: newResult()}
	return s
}

// parsed returns an expression without its length being asked.
func parsed(t *testing.T, text string) expression {
	t.Helper()
	e, err := (&parser{src: text}).operand()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEveryFunctionHasItsResult(t *testing.T) {
	for name, row := range language {
		s := languageScope(t, newBudget(context.Background()), map[string]any{"number": int64(7)})
		got, err := parsed(t, row.call).eval(s)
		if diff := cmp.Diff(row.want, got); diff != "" || err != nil {
			t.Errorf("%s: %s: %v (-want +got):\n%s", name, row.call, err, diff)
		}
	}
}

func TestEveryFunctionPaysBeforeItWorks(t *testing.T) {
	parameters := largeParameters()
	for name, row := range language {
		if row.large == "" {
			continue
		}
		e := parsed(t, row.large)
		b := newBudget(context.Background())
		s := languageScope(t, b, parameters)
		_, err := e.eval(s)
		if cost := mostSteps - b.steps; cost < row.least {
			t.Errorf("%s: %.60s costs %d steps, want at least %d (%v)", name, row.large, cost, row.least, err)
		}
		if row.least == 0 {
			continue
		}
		// With less it must end before it has done or made anything.
		b = newBudget(context.Background())
		b.steps = row.least / 20
		s = languageScope(t, b, parameters)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = e.eval(s)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "steps to evaluate") && !strings.Contains(err.Error(), "while it is evaluated") {
			t.Errorf("%s: %.60s went on without being paid: %v", name, row.large, err)
		}
		// What has been paid for may be there: a call of a lambda takes about so much.
		if made := int(after.TotalAlloc - before.TotalAlloc); made > largeText/4+150*row.least/20 {
			t.Errorf("%s: %.60s made %d bytes without being paid", name, row.large, made)
		}
	}
}

// The table above has every function there is.
func TestTheLanguageIsComplete(t *testing.T) {
	names := slices.Collect(maps.Keys(functions))
	f, err := goparser.ParseFile(token.NewFileSet(), "special.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		fn, ok := n.(*ast.FuncDecl)
		if ok && fn.Name.Name != "specialFunction" {
			return false
		}
		if clause, ok := n.(*ast.CaseClause); ok {
			for _, v := range clause.List {
				name, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				if specialFunction(name) == nil {
					t.Errorf("%s is none", name)
				}
				names = append(names, name)
			}
		}
		return true
	})
	if len(names) < 90 {
		t.Errorf("found only %d functions", len(names))
	}
	for _, name := range names {
		if _, ok := language[name]; !ok {
			t.Errorf("the function %s is not in the table", name)
		}
	}
}
