using System.Text.Json;
using DeepRecall.Answers;

namespace DeepRecall.Tests.Answers;

public sealed class JsonSchemaValidatorTests
{
    [Theory]
    [InlineData("true", "1")]
    [InlineData("{}", "[1]")]
    [InlineData("""{"type":"integer"}""", "1.0")]
    [InlineData("""{"type":["string","null"]}""", "null")]
    [InlineData("""{"type":"number","minimum":1,"maximum":2,"multipleOf":0.5}""", "1.5")]
    [InlineData("""{"exclusiveMinimum":1,"exclusiveMaximum":2}""", "1.0000001")]
    [InlineData("""{"minLength":2,"maxLength":2,"pattern":"^.{2,4}$"}""", "\"🐍🐍\"")]
    [InlineData("""{"pattern":"(?<unsupported"}""", "\"x\"")]
    [InlineData("""{"enum":[1,"a",{"b":[2]}]}""", """{"b":[2.0]}""")]
    [InlineData("""{"const":null}""", "null")]
    [InlineData("""{"required":["a"],"properties":{"a":{"type":"string"}},"additionalProperties":false}""", """{"a":"x"}""")]
    [InlineData("""{"patternProperties":{"^n_":{"type":"integer"}},"additionalProperties":{"type":"string"}}""", """{"n_1":1,"other":"x"}""")]
    [InlineData("""{"minProperties":1,"maxProperties":2,"propertyNames":{"maxLength":1}}""", """{"a":1,"b":2}""")]
    [InlineData("""{"prefixItems":[{"type":"string"}],"items":{"type":"integer"},"minItems":2,"maxItems":3,"uniqueItems":true,"contains":{"const":7}}""", """["a",1,7]""")]
    [InlineData("""{"anyOf":[{"type":"string"},{"type":"integer"}],"oneOf":[{"minimum":5},{"maximum":1}],"allOf":[{"not":{"const":9}}]}""", "6")]
    [InlineData("""{"if":{"properties":{"k":{"const":"a"}}},"then":{"required":["x"]},"else":{"required":["y"]}}""", """{"k":"b","y":1}""")]
    [InlineData("""{"$defs":{"node":{"type":"object","properties":{"next":{"$ref":"#/$defs/node"}}}},"$ref":"#/$defs/node"}""", """{"next":{"next":{}}}""")]
    [InlineData("""{"properties":{"a~b/c":{"type":"integer"},"d":{"$ref":"#/properties/a~0b~1c"}}}""", """{"d":3}""")]
    [InlineData("""{"format":"email","unknown":1}""", "\"not checked\"")]
    public void ValueThatFits_HasNoProblem(string schema, string value) => Assert.Null(Validate(schema, value));

    [Theory]
    [InlineData("false", "1", "$ must not be there")]
    [InlineData("""{"type":"integer"}""", "1.5", "$ must be integer, not number")]
    [InlineData("""{"type":["string","null"]}""", "true", "$ must be string or null, not boolean")]
    [InlineData("""{"minimum":1}""", "0", "$ must be at least 1")]
    [InlineData("""{"multipleOf":0.5}""", "0.6", "$ must be a multiple of 0.5")]
    [InlineData("""{"exclusiveMaximum":2}""", "2", "$ must be less than 2")]
    [InlineData("""{"maxLength":1}""", "\"ab\"", "$ must have at most 1 characters, not 2")]
    [InlineData("""{"pattern":"^a"}""", "\"b\"", "$ must match the pattern \"^a\"")]
    [InlineData("""{"enum":["a","b"]}""", "\"c\"", """$ must be one of ["a","b"]""")]
    [InlineData("""{"const":1}""", "2", "$ must be 1")]
    [InlineData("""{"required":["a","b"]}""", """{"a":1}""", "$ lacks the property \"b\"")]
    [InlineData("""{"properties":{"a":{}},"additionalProperties":false}""", """{"z":1}""", "$ must not have the property \"z\"")]
    [InlineData("""{"properties":{"a":{"items":{"type":"string"}}}}""", """{"a":["x",5]}""", "$.a[1] must be string, not integer")]
    [InlineData("""{"maxProperties":1}""", """{"a":1,"b":1}""", "$ must have at most 1 properties, not 2")]
    [InlineData("""{"propertyNames":{"maxLength":1}}""", """{"ab":1}""", "$ (the name \"ab\") must have at most 1 characters, not 2")]
    [InlineData("""{"minItems":1}""", "[]", "$ must have at least 1 items, not 0")]
    [InlineData("""{"uniqueItems":true}""", "[1,1]", "$ has the same item twice")]
    [InlineData("""{"contains":{"const":7}}""", "[1]", "$ has no item that fits {\"const\":7}")]
    [InlineData("""{"anyOf":[{"type":"string"},{"required":["a","b"]}]}""", "{}", "$ fits none of the alternatives (the closest: $ must be string, not object)")]
    [InlineData("""{"oneOf":[{"minimum":1},{"minimum":2}]}""", "3", "$ fits 2 of the alternatives in oneOf, and must fit one")]
    [InlineData("""{"not":{"type":"string"}}""", "\"x\"", "$ must not fit {\"type\":\"string\"}")]
    [InlineData("""{"if":{"required":["k"]},"then":{"required":["x"]}}""", """{"k":1}""", "$ lacks the property \"x\"")]
    [InlineData("""{"$ref":"#/$defs/none"}""", "1", "the schema refers to \"#/$defs/none\", which is not in it")]
    [InlineData("""{"$ref":"https://example.org/schema"}""", "1", "the schema refers to \"https://example.org/schema\", which is not in it")]
    public void ValueThatDoesNotFit_IsToldWithItsPlace(string schema, string value, string problem) => Assert.Equal(problem, Validate(schema, value));

    [Fact]
    public void SeveralProblems_AreToldTogether() =>
        Assert.Equal("$.a must be string, not integer; $.b must be at least 1", Validate("""{"properties":{"a":{"type":"string"},"b":{"minimum":1}}}""", """{"a":1,"b":0}"""));

    [Theory]
    [InlineData("""{"$ref":"#"}""")]
    [InlineData("""{"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}]}},"$ref":"#/$defs/a"}""")]
    public void SchemaWithoutAnEnd_IsAProblemAndNoHang(string schema) =>
        Assert.Contains("cannot be checked", Validate(schema, "1"), StringComparison.Ordinal);

    private static string? Validate(string schema, string value)
    {
        using var first = JsonDocument.Parse(schema);
        using var second = JsonDocument.Parse(value);
        return JsonSchemaValidator.Validate(first.RootElement, second.RootElement);
    }
}
