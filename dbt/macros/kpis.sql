{#
    The first day of the twelve months that end with `day`: the day after `day`, a year before. A year before `day` itself and
    one day on is another: for 28 February after a leap year it is 29 February, and thirteen month ends lie between.
#}
{% macro start_of_twelve_months(day) -%}{{ add_months(add_days(day, 1), -12) }}{%- endmacro %}
