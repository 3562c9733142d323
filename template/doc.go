// Package template reads ARM templates and deploys them: JSON documents that
// say which resources shall exist, with expressions in between.
//
//	Parse        JSON (with comments) → Template; syntax errors name their line
//	Template     parameters, variables, functions, resources, outputs
//	Deploy       expands copies and conditions, orders the resources by what
//	             they depend on, evaluates each and hands it to a [Host]
//
// An expression is evaluated when the resource that holds it is deployed, so
// that reference and the list functions see what was deployed before. Variables
// are evaluated at first use.
//
// Every error is an [*Error] that names the place in the template, such as
// resources[2].properties.filter, with its line.
//
// The package does not know how resources are made, stored or authorized: that
// is the host's part, which acts on behalf of whoever deploys.
package template
