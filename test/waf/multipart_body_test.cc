#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "proxy/waf/engine/request_body.h"

namespace edge::waf {
namespace {

constexpr std::string_view kType = "multipart/form-data; boundary=B";

// "\n" of the test's text is sent as CRLF.
std::string Crlf(std::string_view text) { return absl::StrReplaceAll(text, {{"\n", "\r\n"}}); }

constexpr std::string_view kForm =
    "--B\n"
    "Content-Disposition: form-data; name=\"a\"\n"
    "\n"
    "value\n"
    "--B\n"
    "Content-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\n"
    "Content-Type: text/plain\n"
    "\n"
    "line 1\n"
    "line 2\n"
    "--B--\n";

class MultipartBodyTest : public testing::Test {
 protected:
  // "name=value" and "name@filename=content" a line, "error" or "early" at the end.
  std::string Parse(std::string_view body, std::string_view content_type = kType) {
    body_ = body;
    type_ = content_type;
    parsed_.Clear();
    arena_.Clear();
    ParseMultipart(type_, body_, limits_, arena_, parsed_);
    std::string lines;
    for (const Argument& argument : parsed_.arguments) {
      absl::StrAppend(&lines, argument.name, "=", argument.value, "\n");
    }
    for (const FilePart& file : parsed_.files) {
      absl::StrAppend(&lines, file.name, "@", file.filename, "=", file.content, "\n");
    }
    if (parsed_.error) lines += parsed_.ends_early ? "early" : "error";
    EXPECT_EQ(parsed_.error, !parsed_.error_text.empty());
    return lines;
  }
  // A form with one part of these header lines (CRLF is added) and the value "v".
  std::string ParseHeaders(std::string_view headers) {
    return Parse(absl::StrCat("--B\r\n", headers, "\r\n\r\nv\r\n--B--\r\n"));
  }
  std::string ParseDisposition(std::string_view value) {
    return ParseHeaders(absl::StrCat("Content-Disposition: ", value));
  }
  // The flags that are set, by their variables' names.
  std::string Flags() const {
    const MultipartFlags& flags = parsed_.multipart;
    std::string text;
    const auto add = [&text](bool flag, std::string_view name) {
      if (flag) absl::StrAppend(&text, text.empty() ? "" : " ", name);
    };
    add(flags.strict_error, "strict");
    add(flags.unmatched_boundary == 1, "unmatched");
    add(flags.boundary_quoted, "quoted");
    add(flags.boundary_whitespace, "whitespace");
    add(flags.data_before, "before");
    add(flags.data_after, "after");
    add(flags.header_folding, "folding");
    add(flags.lf_line, "lf");
    add(flags.crlf_lf_lines, "crlf_lf");
    add(flags.missing_semicolon, "semicolon");
    add(flags.invalid_quoting, "quoting");
    add(flags.invalid_part, "part");
    add(flags.invalid_header_folding, "invalid_folding");
    add(flags.file_limit_exceeded, "file_limit");
    return text;
  }

  std::string body_;
  std::string type_;
  BodyLimits limits_;
  TextArena arena_;
  ParsedBody parsed_;
};

TEST_F(MultipartBodyTest, FieldsAndFilesAreParts) {
  EXPECT_EQ(Parse(Crlf(kForm)), "a=value\nf@x.txt=line 1\r\nline 2\n");
  EXPECT_EQ(Flags(), "");
  EXPECT_EQ(parsed_.files_bytes, 14);
  // Headers with their line ends, and fields.
  EXPECT_EQ(parsed_.no_files_bytes, 42 + 2 + 60 + 26 + 2 + 5);
  EXPECT_EQ(parsed_.multipart_name, "f");
  EXPECT_EQ(parsed_.multipart_filename, "x.txt");
  EXPECT_EQ(parsed_.multipart.unmatched_boundary, 2);
}

TEST_F(MultipartBodyTest, HeaderLinesAreOfTheirPart) {
  Parse(Crlf(kForm));
  ASSERT_EQ(parsed_.part_headers.size(), 3);
  EXPECT_EQ(parsed_.part_headers[0].part, "a");
  EXPECT_EQ(parsed_.part_headers[0].line, "Content-Disposition: form-data; name=\"a\"");
  EXPECT_EQ(parsed_.part_headers[2].part, "f");
  EXPECT_EQ(parsed_.part_headers[2].line, "Content-Type: text/plain");
}

TEST_F(MultipartBodyTest, ValuesAreNotCopied) {
  Parse(Crlf(kForm));
  EXPECT_EQ(parsed_.arguments[0].value.data(), body_.data() + body_.find("value"));
}

TEST_F(MultipartBodyTest, ValueMayBeEmptyOrHaveLineBreaks) {
  EXPECT_EQ(Parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--B--\r\n"), "a=\n");
  EXPECT_EQ(Flags(), "");
  EXPECT_EQ(Parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n\r\ny\r\n--B--\r\n"),
            "a=x\r\n\r\ny\n");
}

TEST_F(MultipartBodyTest, LastBoundaryNeedsNoLineEnd) {
  EXPECT_EQ(Parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--B--"), "a=x\n");
  EXPECT_EQ(Flags(), "");
}

TEST_F(MultipartBodyTest, LfLinesAreStrictErrors) {
  EXPECT_EQ(Parse(kForm), "a=value\nf@x.txt=line 1\nline 2\n");
  EXPECT_EQ(Flags(), "strict lf");
  // Only the line before the last boundary.
  EXPECT_EQ(Parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\n--B--"), "a=x\n");
  EXPECT_EQ(Flags(), "strict lf crlf_lf");
  // Only inside of a value: it is data.
  EXPECT_EQ(Parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\ny\r\n--B--"),
            "a=x\ny\n");
  EXPECT_EQ(Flags(), "");
}

TEST_F(MultipartBodyTest, DataAroundThePartsIsFlagged) {
  Parse(absl::StrCat("preamble\r\n", Crlf(kForm)));
  EXPECT_EQ(Flags(), "strict before");
  Parse(absl::StrCat(Crlf(kForm), "x"));
  EXPECT_EQ(Flags(), "strict after");
}

TEST_F(MultipartBodyTest, PartWithoutDataIsInvalid) {
  // The boundary where data should begin is read as data.
  EXPECT_EQ(Parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n--B\r\n--B--\r\n"),
            "a=--B\n");
  EXPECT_EQ(Flags(), "strict part");
  EXPECT_EQ(Parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n--B--"), "a=\n");
  EXPECT_EQ(Flags(), "strict part");
  EXPECT_EQ(Parse("--B\r\n--B--\r\n"), "error");
  EXPECT_EQ(Flags(), "strict part");
}

TEST_F(MultipartBodyTest, CutBodyIsReadToItsEnd) {
  EXPECT_EQ(Parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\natta"),
            "a=x\r\natta\nearly");
  EXPECT_EQ(Parse("--B\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\nx"),
            "a@f=x\nearly");
  EXPECT_EQ(Parse("--B\r\nContent-Dispo"), "early");
  EXPECT_EQ(Parse("--B"), "early");
  EXPECT_EQ(Parse("x"), "early");
}

TEST_F(MultipartBodyTest, CutAnywhereIsEarlyAndNeverMore) {
  const std::string body = Crlf(kForm);
  for (size_t size = 1; size < body.size() - 2; ++size) {
    EXPECT_TRUE(Parse(body.substr(0, size)).ends_with("early")) << size;
  }
  EXPECT_FALSE(Parse(body.substr(0, body.size() - 2)).ends_with("early"));
  // Its CR is neither a line's end nor the body's.
  EXPECT_TRUE(Parse(body.substr(0, body.size() - 1)).ends_with("early"));
}

TEST_F(MultipartBodyTest, EmptyBodyIsNoMistake) {
  EXPECT_EQ(Parse(""), "");
  EXPECT_EQ(Flags(), "");
}

// --- Boundaries

TEST_F(MultipartBodyTest, LinesThatResembleBoundariesAreFlagged) {
  const auto with_line = [](std::string_view line) {
    return absl::StrCat("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n", line, "\r\n");
  };
  Parse(with_line("--other"));
  EXPECT_EQ(parsed_.multipart.unmatched_boundary, 1);
  Parse(with_line(" --B"));
  EXPECT_EQ(parsed_.multipart.unmatched_boundary, 1);
  Parse(with_line("x --B"));
  EXPECT_EQ(parsed_.multipart.unmatched_boundary, 1);
  Parse(with_line("x----B-"));
  EXPECT_EQ(parsed_.multipart.unmatched_boundary, 1);
  Parse(with_line("x- -B"));
  EXPECT_EQ(parsed_.multipart.unmatched_boundary, 0);
  Parse(with_line("-B"));
  EXPECT_EQ(parsed_.multipart.unmatched_boundary, 0);
  Parse(absl::StrCat(with_line("--other"), "--B--\r\n"));
  EXPECT_EQ(parsed_.multipart.unmatched_boundary, 2);
}

TEST_F(MultipartBodyTest, BoundaryWithMoreBehindItEndsTheReading) {
  for (const std::string_view line : {"--Bx", "--B ", "--B-", "--B--x", "--B\r"}) {
    EXPECT_EQ(Parse(absl::StrCat("--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n", line,
                                 "\r\n--B--\r\n")),
              "a=x\nerror")
        << line;
    EXPECT_EQ(Flags(), "strict") << line;
  }
}

TEST_F(MultipartBodyTest, BoundaryBehindSpaceOrQuoteEndsTheReading) {
  EXPECT_EQ(Parse("-- B\r\n"), "error");
  EXPECT_EQ(Parse("--\tB\r\n"), "error");
  EXPECT_EQ(Parse("--\"B\"\r\n", "multipart/form-data; boundary=\"B\""), "error");
  EXPECT_EQ(Flags(), "strict quoted");
}

TEST_F(MultipartBodyTest, ContentTypeMustNameOneBoundary) {
  for (const std::string_view type :
       {"multipart/form-data", "multipart/form-data;", "multipart/form-data; boundary",
        "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"B", "multipart/form-data; boundary=B\"",
        "multipart/form-data; boundary=B; boundary=C", "multipart/form-data; boundary=B<",
        "multipart/form-data; boundary=boundary=B", "multipart/form-data; BOUNDARY=B",
        "multipart/form-data; charset=x; boundary=B", "multipart/form-data;; boundary=B",
        "multipart/form-data; boundaryx=B", "multipart/form-data; boundary=B ",
        "multipart/mixed; boundary=B", ""}) {
    EXPECT_EQ(Parse(Crlf(kForm), type), "error") << type;
    EXPECT_TRUE(parsed_.multipart.strict_error) << type;
  }
  EXPECT_EQ(Parse("", absl::StrCat("multipart/form-data; boundary=", std::string(2000, 'B'))),
            "error");
}

TEST_F(MultipartBodyTest, OddContentTypesAreFlagged) {
  const std::string parts = Parse(Crlf(kForm));
  EXPECT_EQ(Parse(Crlf(kForm), "multipart/form-data boundary=B"), parts);
  EXPECT_EQ(Flags(), "strict semicolon");
  EXPECT_EQ(Parse(Crlf(kForm), "multipart/form-data; boundary=\"B\""), parts);
  EXPECT_EQ(Flags(), "strict quoted");
  EXPECT_EQ(Parse(Crlf(kForm), "multipart/form-data; boundary =B"), parts);
  EXPECT_EQ(Flags(), "strict whitespace");
  // As PHP does, the space is taken as part of the boundary, which is then not found.
  EXPECT_EQ(Parse(Crlf(kForm), "multipart/form-data; boundary= B"), "early");
  EXPECT_EQ(Flags(), "strict unmatched whitespace before");
  EXPECT_EQ(Parse(Crlf(kForm), "Multipart/Form-Data; boundary=B; charset=utf-8"), parts);
  EXPECT_EQ(Flags(), "");
}

// --- Headers of parts

TEST_F(MultipartBodyTest, PartsWithBadHeadersAreErrorsAndStillInspected) {
  EXPECT_EQ(ParseHeaders("X: y"), "=v\nerror");
  EXPECT_EQ(Flags(), "strict part");
  EXPECT_EQ(ParseHeaders("Content-Disposition: form-data; name=a\r\nno colon"), "a=v\nerror");
  EXPECT_EQ(ParseHeaders("Content-Disposition: form-data; name=a\r\n: x"), "a=v\nerror");
  EXPECT_EQ(ParseHeaders("Content-Disposition: form-data; name=a\r\nX Y: x"), "a=v\nerror");
  EXPECT_EQ(ParseHeaders("Content-Disposition: form-data; name=a\r\n\xc3\xa9: x"), "a=v\nerror");
  EXPECT_EQ(ParseHeaders(absl::StrCat("Content-Disposition: form-data; name=a\r\nX: ",
                                      std::string_view("\0", 1))),
            "a=v\nerror");
  EXPECT_EQ(ParseHeaders("Content-Disposition: form-data; name=a\r\n"
                         "content-disposition: form-data; name=b"),
            "a=v\nerror");
  EXPECT_EQ(ParseHeaders(" folded: x\r\nContent-Disposition: form-data; name=a"), "a=v\nerror");
}

TEST_F(MultipartBodyTest, FoldedHeadersAreJoinedAndFlagged) {
  EXPECT_EQ(ParseHeaders("Content-Disposition: form-data;\r\n  name=\"a\";\r\n\tfilename=\"f\""),
            "a@f=v\n");
  EXPECT_EQ(Flags(), "strict folding");
  ASSERT_EQ(parsed_.part_headers.size(), 1);
  EXPECT_EQ(parsed_.part_headers[0].line,
            "Content-Disposition: form-data; name=\"a\"; filename=\"f\"");
  EXPECT_EQ(ParseHeaders("Content-Disposition: form-data;\r\n\v name=a"), "a=v\n");
  EXPECT_EQ(Flags(), "strict folding invalid_folding");
}

TEST_F(MultipartBodyTest, DispositionsAreUnquotedAndUnescaped) {
  EXPECT_EQ(ParseDisposition("form-data; name=a"), "a=v\n");
  EXPECT_EQ(ParseDisposition("form-data ; name = \"a b\" "), "a b=v\n");
  EXPECT_EQ(ParseDisposition(R"(form-data; name="a\"b\\c\d")"), "a\"b\\c\\d=v\n");
  EXPECT_EQ(Flags(), "");
  EXPECT_EQ(ParseDisposition("form-data; name='a'"), "a=v\n");
  EXPECT_EQ(Flags(), "strict quoting");
  EXPECT_EQ(ParseDisposition("form-data; name=a'b"), "a'b=v\n");
  EXPECT_EQ(Flags(), "strict quoting");
  EXPECT_EQ(ParseDisposition("form-data; name=\"a'b\""), "a'b=v\n");
  EXPECT_EQ(Flags(), "");
}

TEST_F(MultipartBodyTest, ExtendedFilenameNeedsAPlainOne) {
  EXPECT_EQ(ParseDisposition("form-data; name=a; filename=f; filename*=utf-8'en'%e2%82%ac"),
            "a@f=v\n");
  EXPECT_FALSE(ParseDisposition("form-data; name=a; filename*=utf-8''f").find("error") ==
               std::string::npos);
  for (const std::string_view bad :
       {"utf-8", "''f", "utf-8'f", "utf-8''%4", "utf-8''a b", "utf-8''%zz"}) {
    EXPECT_EQ(ParseDisposition(absl::StrCat("form-data; name=a; filename=f; filename*=", bad)),
              "a@f=v\nerror")
        << bad;
  }
}

TEST_F(MultipartBodyTest, MalformedDispositionsAreErrors) {
  for (const std::string_view value :
       {"attachment; name=a", "form-datax; name=a", "form-data; ", "form-data; name",
        "form-data; name=", "form-data; name=\"", "form-data; name=\"a\\", "form-data; name=a b",
        "form-data; name=a; name=b", "form-data; name=a; filename=b; filename=c",
        "form-data; name=a; other=b", "form-data; name=\"a\"x", "form-data; name=a;  "}) {
    EXPECT_TRUE(ParseDisposition(value).ends_with("error")) << value;
  }
  ParseDisposition("form-data; name=\"a\"x");
  EXPECT_EQ(Flags(), "strict quoting");
  ParseDisposition("form-data; name=a; name=b");
  EXPECT_EQ(parsed_.multipart_name, "b");
  EXPECT_EQ(ParseDisposition("form-data"), "=v\nerror");
  EXPECT_EQ(ParseDisposition("form-data; filename=f; name=\"\""), "@f=v\nerror");
  EXPECT_EQ(ParseDisposition("form-data; name=a; filename =f"), "a@f=v\nerror");
}

// --- Limits

TEST_F(MultipartBodyTest, HeaderLinesAreLimited) {
  const std::string fits(4000, 'x');
  EXPECT_EQ(ParseHeaders(absl::StrCat("Content-Disposition: form-data; name=a\r\nX: ", fits)),
            "a=v\n");
  const std::string too_long(4096, 'x');
  EXPECT_EQ(ParseHeaders(absl::StrCat("Content-Disposition: form-data; name=a\r\nX: ", too_long)),
            "error");
  EXPECT_EQ(Flags(), "strict");
  // Also when they are folded.
  std::string folded = "Content-Disposition: form-data; name=a\r\nX: y";
  for (int i = 0; i < 50; ++i) absl::StrAppend(&folded, "\r\n ", std::string(100, 'x'));
  EXPECT_EQ(ParseHeaders(folded), "a=v\nerror");
}

TEST_F(MultipartBodyTest, PartsAndArgumentsAndHeadersAreLimited) {
  std::string body;
  for (int i = 0; i < 5; ++i) {
    absl::StrAppend(&body, "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n", i, "\r\n");
  }
  body += "--B--\r\n";
  EXPECT_FALSE(Parse(body).ends_with("error"));
  limits_.parts_max = 4;
  EXPECT_EQ(Parse(body), "a=0\na=1\na=2\na=3\nerror");
  EXPECT_FALSE(parsed_.arguments_limit_exceeded);
  limits_ = {};
  limits_.arguments_max = 2;
  EXPECT_EQ(Parse(body), "a=0\na=1\nerror");
  EXPECT_TRUE(parsed_.arguments_limit_exceeded);

  std::string headers = "Content-Disposition: form-data; name=a";
  for (int i = 0; i < 100; ++i) absl::StrAppend(&headers, "\r\nX", i, ": y");
  EXPECT_TRUE(ParseHeaders(headers).ends_with("error"));
}

TEST_F(MultipartBodyTest, FilesPastTheirLimitAreFlaggedAndInspected) {
  limits_.files_max = 1;
  EXPECT_EQ(Parse(Crlf(kForm)), "a=value\nf@x.txt=line 1\r\nline 2\n");
  limits_.files_max = 0;
  EXPECT_EQ(Parse(Crlf(kForm)), "a=value\nf@x.txt=line 1\r\nline 2\nerror");
  EXPECT_EQ(Flags(), "strict file_limit");
}

TEST_F(MultipartBodyTest, HostileBodiesEnd) {
  for (const std::string_view piece :
       {"\n", "--B\r\n", "--B\r\n\r\n\r\n", " \n", "a:\n b\n", "--", "--B\r\na:b\r\n b\r\n", "\r",
        "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n", "--\r\n", "-- B", ":\n"}) {
    std::string body = "--B\r\n";
    while (body.size() < 200000) body += piece;
    Parse(body);
    EXPECT_LE(parsed_.arguments.size() + parsed_.files.size(), limits_.parts_max);
    EXPECT_TRUE(parsed_.error) << piece;
    EXPECT_LT(arena_.allocated_bytes(), body.size() * 8) << piece;
  }
}

}  // namespace
}  // namespace edge::waf
