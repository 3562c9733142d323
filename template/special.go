package template

import (
	"slices"
	"strings"

	"github.com/google/uuid"
)

// specialFunction finds a function that sees more than the values of its
// arguments: it leaves some unevaluated, or looks at the scope. The names are in
// lower case.
func specialFunction(name string) func(*scope, *call) (any, error) { //nolint:cyclop // a table; a variable would be initialised by what looks into it
	switch name {
	case "if":
		return ifFunction
	case "and":
		return all(false)
	case "or":
		return all(true)
	case "coalesce":
		return coalesce
	case "parameters":
		return parameter
	case "variables":
		return variable
	case "copyindex":
		return copyIndex
	case "lambda":
		return lambdaFunction
	case "lambdavariables":
		return lambdaVariable
	case "map":
		return mapFunction
	case "filter":
		return filterFunction
	case "reduce":
		return reduceFunction
	case "sort":
		return sortFunction
	case "toobject":
		return toObject
	case "mapvalues":
		return mapValues
	case "groupby":
		return groupBy
	case "resourceid":
		return resourceID
	case "subscriptionresourceid":
		return subscriptionResourceID
	case "managementgroupresourceid":
		return managementGroupResourceID
	case "reference":
		return reference
	case "references":
		return references
	case "resourcegroup":
		return resourceGroup
	case "subscription", "tenant", "deployer", "environment":
		return func(s *scope, c *call) (any, error) { return s.around(c, c.name) }
	case "deployment":
		return deployment
	case "newguid":
		return func(*scope, *call) (any, error) { return uuid.NewString(), nil }
	case "utcnow":
		return utcNow
	}
	return nil
}

// arguments evaluates all arguments of a call that must have between least and
// most of them.
func (c *call) arguments(s *scope, least, most int) ([]any, error) {
	if len(c.args) < least || len(c.args) > most {
		return nil, errorf("The function '%s' takes %s; it was called with %d.", c.spelled, function{least: least, most: most}.arity(), len(c.args))
	}
	return c.values(s)
}

func (c *call) fail(err error) error {
	if _, ok := err.(*Error); ok || err == nil { //nolint:errorlint // ours are never wrapped in between
		return err
	}
	return errorf("The function '%s': %s.", c.spelled, strings.TrimSuffix(err.Error(), "."))
}

func ifFunction(s *scope, c *call) (any, error) {
	if len(c.args) != 3 {
		return nil, errorf("The function 'if' takes 3 arguments; it was called with %d.", len(c.args))
	}
	v, err := c.args[0].eval(s)
	if err != nil {
		return nil, err
	}
	if _, ok := v.(unknown); ok {
		return v, nil
	}
	b, err := wantBool(v)
	if err != nil {
		return nil, c.fail(err)
	}
	if b {
		return c.args[1].eval(s)
	}
	return c.args[2].eval(s)
}

// all returns the function "and" (until false) or "or" (until true). Both stop
// at the first argument that decides.
func all(until bool) func(*scope, *call) (any, error) {
	return func(s *scope, c *call) (any, error) {
		for _, arg := range c.args {
			v, err := arg.eval(s)
			if err != nil {
				return nil, err
			}
			if _, ok := v.(unknown); ok {
				return v, nil
			}
			b, err := wantBool(v)
			if err != nil {
				return nil, c.fail(err)
			}
			if b == until {
				return until, nil
			}
		}
		return !until, nil
	}
}

func coalesce(s *scope, c *call) (any, error) {
	for _, arg := range c.args {
		v, err := arg.eval(s)
		if v != nil || err != nil {
			return v, err
		}
	}
	return nil, nil
}

func (c *call) oneName(s *scope) (string, error) {
	args, err := c.arguments(s, 1, 1)
	if err != nil {
		return "", err
	}
	name, err := wantText(args[0])
	return name, c.fail(err)
}

func parameter(s *scope, c *call) (any, error) {
	name, err := c.oneName(s)
	if err != nil {
		return nil, err
	}
	if v, ok := s.locals["$"+strings.ToLower(name)]; ok { // of a function of the template's own
		return v, nil
	}
	v, ok := s.parameters[strings.ToLower(name)]
	if !ok {
		return nil, errorf("The template has no parameter '%s'.", name)
	}
	return v, nil
}

func variable(s *scope, c *call) (any, error) {
	name, err := c.oneName(s)
	if err != nil {
		return nil, err
	}
	return s.variable(name)
}

func copyIndex(s *scope, c *call) (any, error) {
	args, err := c.arguments(s, 0, 2)
	if err != nil {
		return nil, err
	}
	name, offset := "", int64(0)
	if len(args) > 0 {
		if t, ok := args[0].(string); ok {
			name, args = strings.ToLower(t), args[1:]
		}
	}
	if len(args) > 0 {
		if offset, err = wantInt(args[0]); err != nil {
			return nil, c.fail(err)
		}
	}
	for _, l := range slices.Backward(s.loops) {
		if name == "" || l.name == name {
			at, err := add(l.index, offset)
			return at, c.fail(err)
		}
	}
	return nil, errorf("copyIndex stands outside of the copy loop '%s'.", name)
}
