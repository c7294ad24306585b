{%- set loss = weighted('g.exposure', 'cast(g.loss_given_default * f.factor as numeric(19, 16))') -%}
with
exposure_by_term as {{ rows_of(ref('exposure_by_term')) }},
loss_factor as {{ rows_of(ref('loss_factor')) }},

final as (
    select
        g.grain,
        g.as_of_date,
        g.currency,
        g.product_code,
        g.ifrs9_stage,
        cast(sum(g.loans) as bigint) as loans,
        cast(sum({{ loss }}) as numeric(38, 4)) as numerator,
        cast(sum(g.exposure) as numeric(38, 4)) as denominator,
        {{ ratio('sum(' ~ loss ~ ')', 'sum(g.exposure)') }} as value
    from exposure_by_term as g
    inner join loss_factor as f
        on f.ifrs9_stage = g.ifrs9_stage and f.interest_rate = g.interest_rate
        and f.probability_of_default = g.probability_of_default and f.months_left = g.months_left
    group by g.grain, g.as_of_date, g.currency, g.product_code, g.ifrs9_stage
)

select * from final
