"""Tool calls for vLLM in the form in which the course's models write them.

vLLM itself loads this file, with `--tool-parser-plugin`, in its own environment. Its own parser,
"hermes", reads the models' calls well, but where it forces one it dictates `{"name": "f",
"arguments": `, with spaces. The course's models are trained on `{"name":"f","arguments":`; with the
spaces, which are other tokens, they go astray: of 11 forced calls 4 were right, in this form 8.
"""

import sys


def _register() -> None:
    from vllm.tool_parsers import ToolParserManager
    from vllm.tool_parsers.hermes_tool_parser import Hermes2ProToolParser
    from vllm.tool_parsers.structural_tag_registry import (
        get_function_parameters,
        register_vllm_structural_tag,
    )
    from xgrammar import StructuralTag
    from xgrammar.structural_tag import (
        JSONSchemaFormat,
        TagFormat,
        TagsWithSeparatorFormat,
        TriggeredTagsFormat,
    )

    @register_vllm_structural_tag("compact_hermes")
    def _calls(tools, builtin_tools, tool_choice, reasoning, token_suffix="") -> StructuralTag:
        """The grammar of an answer. tool_choice: auto, required or forced (named)."""
        calls = [
            TagFormat(
                begin=f'<tool_call>{{"name":"{tool.function.name}","arguments":',
                content=JSONSchemaFormat(
                    json_schema=get_function_parameters(tool.function),
                    max_whitespace_cnt=1,  # without a limit small models write nothing else
                    excludes=["<tool_call>", "</tool_call>"],  # in a text it would end the call
                ),
                end="}</tool_call>",
            )
            for tool in tools
        ]
        if tool_choice == "auto":
            return StructuralTag(format=TriggeredTagsFormat(triggers=["<tool_call>"], tags=calls))
        only_one = tool_choice == "forced"
        return StructuralTag(
            format=TagsWithSeparatorFormat(
                tags=calls, separator="", at_least_one=True, stop_after_first=only_one
            )
        )

    class CompactHermes(Hermes2ProToolParser):
        structural_tag_model = "compact_hermes"

    ToolParserManager.register_module("compact_hermes", module=CompactHermes)


# Elsewhere, where pytest reads all files for examples, there is no vLLM to register with.
if "vllm" in sys.modules:
    _register()
