package rewriter

// Revision names what the rewriter makes of a document. It is part of every
// page's entity tag, so that browsers do not revalidate a page that an older
// rewriter made. A test fails when the output changes and the Revision does not.
const Revision = "2"
