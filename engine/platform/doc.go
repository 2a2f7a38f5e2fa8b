// Package platform owns what mpull means by a platform: parsing and printing
// os/arch[/variant], normalising the spellings people use, matching what was
// asked for against what an index offers, with the rule that decided, and the
// facts about a host that say which platforms it runs natively or emulated.
//
// It imports nothing else of mpull.
package platform
