// Package odata reads the $filter of Azure's lists: conditions on properties,
// joined by not, and, or and parentheses.
//
//	text ─> tokens ─> Grammar: which properties and functions a list knows
//	                     └─> Filter ─ Match(what one item says) ─> true or false
//
// Names, operators and values are compared without regard to case, as Azure
// does. The package knows neither what is listed nor how a bad filter is
// answered.
package odata
